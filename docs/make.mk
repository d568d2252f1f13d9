# Container images as files, by imgfetch and GNU make.  Copy this file, name the images in a Makefile, and include it
# below them:
#
#     images := busybox app
#     image.busybox := quay.io/prometheus/busybox:latest
#     image.app := registry.example/team/app:1.4
#     include make.mk
#
#     make pin          resolves the tags and writes images.lock; commit it
#     make -j4 fetch    saves each image, as pinned, to images/NAME.tar
#     make bundle       saves all images to images/bundle.tar; layers that they share are stored once
#     make checksums    writes images/SHA256SUMS, for `sha256sum -c` on the offline host
#     make clean        removes images/, but neither images.lock nor the cache
#
# On the offline host, verify the bundle.  Each line of images.lock ends in a comment, which `cut` removes:
#
#     imgfetch verify images/bundle.tar $(cut -d' ' -f1 images.lock)
#
# An archive is written again when its line in images.lock, its reference or IMGFETCH_FLAGS has changed; the others are
# left as they are.  A name in images whose image.NAME is undefined, empty or more than one reference is an error, as is a lock
# that was made for another reference.  An image.NAME that images does not list gets a warning.

IMGFETCH ?= imgfetch
IMGFETCH_FLAGS ?= -q
IMAGES_DIR ?= images
IMAGES_LOCK ?= images.lock

.PHONY: pin fetch bundle checksums clean

fetch: $(images:%=$(IMAGES_DIR)/%.tar)
bundle: $(IMAGES_DIR)/bundle.tar
checksums: $(IMAGES_DIR)/SHA256SUMS

# A misspelt name must not bring a wrong image under a right name, so it ends make.
image_reference = $(strip $(image.$(1)))
$(foreach variable,$(filter-out $(images:%=image.%),$(filter image.%,$(.VARIABLES))), \
  $(warning $(variable) is not used, because images does not list $(variable:image.%=%)))
$(if $(strip $(images)),,$(error images is undefined or empty; define it above the line that includes make.mk))
$(if $(filter bundle,$(images)),$(error an image cannot be named bundle, because `make bundle` writes bundle.tar))
$(if $(filter-out $(words $(sort $(images))),$(words $(images))),$(error images lists a name twice: $(images)))
$(foreach name,$(images),$(if $(call image_reference,$(name)),, \
  $(error image.$(name) is undefined or empty; define it above the line that includes make.mk)))
$(foreach name,$(images),$(if $(word 2,$(call image_reference,$(name))), \
  $(error image.$(name) must be one reference, not several: $(call image_reference,$(name)))))

# One line for each image: NAME:TAG@DIGEST # name-here reference-here.  `imgfetch save -i images.lock` reads it too.
# Each image is pinned by a command of its own, and the file is replaced when all lines are there.
define write_lock
	pin() { pinned=$$($(IMGFETCH) digest --keep-tag -- "$$2") && printf '%s # %s %s\n' "$$pinned" "$$1" "$$2"; }; \
	  { $(foreach name,$(images),pin '$(name)' '$(call image_reference,$(name))' &&) :; } > $(IMAGES_LOCK).new \
	  || { rm -f $(IMAGES_LOCK).new; exit 1; }
	if cmp -s $(IMAGES_LOCK).new $(IMAGES_LOCK); then rm $(IMAGES_LOCK).new; else mv $(IMAGES_LOCK).new $(IMAGES_LOCK); fi
endef

pin:
	$(write_lock)

ifneq ($(filter pin,$(MAKECMDGOALS)),)
$(IMAGES_LOCK): pin  # `make -j4 pin fetch` fetches what was pinned
	@:
else
$(IMAGES_LOCK):
	$(write_lock)
endif

# The commands that print what an image is pinned to, if it is pinned once, by the name and reference that it has here.
define image_pinned
pinned() { awk -v name="$$1" -v reference="$$2" ' \
	  function last(text) { sub(/@.*/, "", text); sub(/.*\//, "", text); return text ~ /:/ ? text : text ":latest" } \
	  $$1 ~ /@/ && $$3 == name && $$4 == reference && last($$1) == last(reference) { print $$1; found++ } \
	  END { if (found != 1) { print name " is not in $(IMAGES_LOCK) as " reference "; run make pin" > "/dev/stderr"; exit 1 } }' \
	  $(IMAGES_LOCK); }; \
	  pinned=$$($(foreach name,$(1),pinned '$(name)' '$(call image_reference,$(name))' &&) :)
endef

# When the flags or the references change, every archive is looked at again.
images_wanted := $(strip $(IMGFETCH_FLAGS) $(DOCKER_DEFAULT_PLATFORM) $(foreach name,$(images),$(name)=$(call image_reference,$(name))))
ifneq ($(images_wanted),$(strip $(shell cat $(IMAGES_DIR)/.wanted 2>/dev/null)))
.PHONY: $(IMAGES_DIR)/.wanted
endif
$(IMAGES_DIR)/.wanted: | $(IMAGES_DIR)
	@printf '%s\n' '$(subst ','\'',$(images_wanted))' > $@

# --if-changed leaves an archive alone that is what the lock asks for; `touch` then tells make that this was looked at.
$(images:%=$(IMAGES_DIR)/%.tar): $(IMAGES_DIR)/%.tar: $(IMAGES_LOCK) $(IMAGES_DIR)/.wanted
	@$(call image_pinned,$*) && set -x && $(IMGFETCH) save $(IMGFETCH_FLAGS) --if-changed $$pinned -o $@
	@touch $@

$(IMAGES_DIR)/bundle.tar: $(IMAGES_LOCK) $(IMAGES_DIR)/.wanted
	@$(call image_pinned,$(images)) && set -x && $(IMGFETCH) save $(IMGFETCH_FLAGS) --if-changed $$pinned -o $@
	@touch $@

$(IMAGES_DIR)/SHA256SUMS: $(images:%=$(IMAGES_DIR)/%.tar) $(IMAGES_DIR)/.wanted
	cd $(IMAGES_DIR) && sha256sum $(images:%=%.tar) > SHA256SUMS.new
	mv $@.new $@

$(IMAGES_DIR):
	mkdir -p $@

clean:
	rm -rf $(IMAGES_DIR)
