# Container images as files, by imgfetch and GNU make.  Copy this file, name the images in a Makefile, and include it:
#
#     images := busybox app
#     image.busybox := quay.io/prometheus/busybox:latest
#     image.app := registry.example/team/app:1.4
#     include make.mk
#
#     make pin          asks what the tags point at now, and writes images.lock, which is to be committed
#     make -j4 fetch    brings each image, as it is pinned, to images/NAME.tar
#     make bundle       brings all of them to images/bundle.tar, with layers that they share once
#     make checksums    writes images/SHA256SUMS, for `sha256sum -c` on the other side
#     make clean        removes images/; images.lock and imgfetch's cache stay
#
# An archive is made anew when its line in images.lock has changed; the others are left as they are.

IMGFETCH ?= imgfetch
IMGFETCH_FLAGS ?= -q
IMAGES_DIR ?= images
IMAGES_LOCK ?= images.lock

.PHONY: pin fetch bundle checksums clean

fetch: $(images:%=$(IMAGES_DIR)/%.tar)
bundle: $(IMAGES_DIR)/bundle.tar
checksums: $(IMAGES_DIR)/SHA256SUMS

# A line for each image: NAME:TAG@DIGEST # name-here reference-here.  `imgfetch save -i images.lock` reads it too.
define write_lock
	$(IMGFETCH) digest --keep-tag $(foreach name,$(images),$(image.$(name))) > $(IMAGES_LOCK).new \
	  || { rm $(IMAGES_LOCK).new; exit 1; }
	printf '# %s\n' $(foreach name,$(images),'$(name) $(image.$(name))') | paste -d ' ' $(IMAGES_LOCK).new - \
	  > $(IMAGES_LOCK).named
	rm $(IMAGES_LOCK).new
	cmp -s $(IMAGES_LOCK).named $(IMAGES_LOCK) || cp $(IMAGES_LOCK).named $(IMAGES_LOCK)
	rm $(IMAGES_LOCK).named
endef

pin:
	$(write_lock)

$(IMAGES_LOCK):
	$(write_lock)

# The command that prints what an image is pinned to, if it is pinned as it is named here.
pinned = awk -v name='$(1)' -v reference='$(image.$(1))' \
	'$$3 == name && $$4 == reference { print $$1; found = 1 } \
	END { if (!found) { print name " is not in $(IMAGES_LOCK) as " reference "; run make pin" > "/dev/stderr"; exit 1 } }' \
	$(IMAGES_LOCK)

# --if-changed leaves an archive alone that is what the lock asks for; `touch` then tells make that this was looked at.
$(images:%=$(IMAGES_DIR)/%.tar): $(IMAGES_DIR)/%.tar: $(IMAGES_LOCK) | $(IMAGES_DIR)
	reference=$$($(call pinned,$*)) && $(IMGFETCH) save $(IMGFETCH_FLAGS) --if-changed "$$reference" -o $@
	touch $@

$(IMAGES_DIR)/bundle.tar: $(IMAGES_LOCK) | $(IMAGES_DIR)
	references=$$($(foreach name,$(images),$(call pinned,$(name)) &&) true) && \
	  $(IMGFETCH) save $(IMGFETCH_FLAGS) --if-changed $$references -o $@
	touch $@

$(IMAGES_DIR)/SHA256SUMS: $(images:%=$(IMAGES_DIR)/%.tar)
	cd $(IMAGES_DIR) && sha256sum $(images:%=%.tar) > SHA256SUMS.new
	mv $@.new $@

$(IMAGES_DIR):
	mkdir -p $@

clean:
	rm -rf $(IMAGES_DIR)
