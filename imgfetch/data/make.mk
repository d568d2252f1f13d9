# Container images as files, by imgfetch and GNU make 3.81 or later.  `imgfetch makefile > make.mk` prints this file.
# Name the images in a Makefile, and include it below them:
#
#     images := busybox app
#     image.busybox := quay.io/prometheus/busybox:latest
#     image.app := registry.example/team/app:1.4
#     platform.app := linux/arm64
#     include make.mk
#
#     make images-pin          resolves the tags and writes images.lock; commit it
#     make -j4 images-fetch    saves each image, as pinned, to images/NAME.tar
#     make images-bundle       saves all images to images/bundle.tar; layers that they share are stored once
#     make images-checksums    writes images/SHA256SUMS, for `sha256sum -c SHA256SUMS` beside the archives
#     make images-clean        removes images/, but neither images.lock nor the cache
#
# On the offline host, verify the bundle:
#
#     imgfetch verify images/bundle.tar -i images.lock
#
# IMGFETCH_FLAGS are options of digest and save, such as --mirror; IMGFETCH_SAVE_FLAGS are those of save alone, such as
# --limit-rate.
# An archive is written again when its line in images.lock, its reference, its platform or the flags have changed; the
# others are left as they are.  A name in images whose image.NAME is undefined, empty or more than one reference is an
# error, as is a lock that was made for another reference.  An image.NAME that images does not list gets a warning.

IMGFETCH ?= imgfetch
IMGFETCH_FLAGS ?=
IMGFETCH_SAVE_FLAGS ?=
IMAGES_DIR ?= images
IMAGES_LOCK ?= images.lock

.PHONY: images-pin images-fetch images-bundle images-checksums images-clean

# A misspelt name must not bring a wrong image under a right name, so it ends make.
image_reference = $(strip $(image.$(1)))
image_options = $(if $(strip $(platform.$(1))),--platform $(strip $(platform.$(1))))
$(foreach variable,$(filter-out $(images:%=image.%) $(images:%=platform.%),$(filter image.% platform.%,$(.VARIABLES))), \
  $(warning $(variable) is not used, because images does not list $(patsubst platform.%,%,$(variable:image.%=%))))
$(if $(strip $(images)),,$(error images is undefined or empty; define it above the line that includes make.mk))
$(if $(filter bundle,$(images)),$(error an image cannot be named bundle, because `make images-bundle` writes bundle.tar))
$(if $(filter-out $(words $(sort $(images))),$(words $(images))),$(error images lists a name twice: $(images)))
$(foreach name,$(images),$(if $(strip $(foreach mark,/ % : = ',$(findstring $(mark),$(name)))), \
  $(error the name $(name) in images cannot be that of a file; use letters, digits and . _ -)))
$(foreach name,$(images),$(if $(call image_reference,$(name)),, \
  $(error image.$(name) is undefined or empty; define it above the line that includes make.mk)))
$(foreach name,$(images),$(if $(word 2,$(call image_reference,$(name))), \
  $(error image.$(name) must be one reference, not several: $(call image_reference,$(name)))))

$(foreach name,$(images),$(if $(word 2,$(platform.$(name))), \
  $(error platform.$(name) must be platforms separated by commas: $(platform.$(name)))))

images-fetch: $(images:%=$(IMAGES_DIR)/%.tar)
images-bundle: $(IMAGES_DIR)/bundle.tar
images-checksums: $(IMAGES_DIR)/SHA256SUMS

# One line for each image: NAME:TAG@DIGEST --platform PLATFORM # name-here reference-here.  `imgfetch save -i` and
# `imgfetch verify -i` read it too.  Each image is pinned alone, and the file is replaced when all lines are there.
define write_lock
	@pin() { pinned=$$(printf '%s\n' "$$2 $$3" | $(IMGFETCH) digest $(IMGFETCH_FLAGS) --keep-tag -i -) && printf '%s # %s %s\n' "$$pinned" "$$1" "$$2"; }; \
	  { $(foreach name,$(images),pin '$(name)' '$(call image_reference,$(name))' '$(call image_options,$(name))' &&) :; } > $(IMAGES_LOCK).new \
	  || { rm -f $(IMAGES_LOCK).new; exit 1; }
	@if cmp -s $(IMAGES_LOCK).new $(IMAGES_LOCK); then rm $(IMAGES_LOCK).new; echo '$(IMAGES_LOCK) is up to date'; \
	  else changed=$$(cat $(IMAGES_LOCK) 2>/dev/null | grep -vxFf - $(IMAGES_LOCK).new | awk '{ printf " %s", $$(NF-1) }'); \
	  mv $(IMAGES_LOCK).new $(IMAGES_LOCK); \
	  echo "pinned $(words $(images)) image$(if $(word 2,$(images)),s) in $(IMAGES_LOCK)$${changed:+; new or changed:$$changed}"; fi
endef

images-pin:
	$(write_lock)

ifneq ($(filter images-pin,$(MAKECMDGOALS)),)
$(IMAGES_LOCK): images-pin  # `make -j4 images-pin images-fetch` fetches what was pinned
	@:
else
$(IMAGES_LOCK):
	$(write_lock)
endif

# The commands that print the lines of images that are pinned once, by the names, references and platforms they have here.
define image_pinned
pinned() { awk -v name="$$1" -v reference="$$2" -v options="$$3" ' \
	  function last(text) { sub(/@.*/, "", text); sub(/.*\//, "", text); return text ~ /:/ ? text : text ":latest" } \
	  { line = $$0; sub(/ *#.*/, "", line); given = line; sub(/^[^ ]+ */, "", given) } \
	  $$1 ~ /@/ && $$(NF-1) == name && $$NF == reference && given == options && last($$1) == last(reference) { print line; found++ } \
	  END { if (found != 1) { print name " is not in $(IMAGES_LOCK) as " reference (options ? " " options : "") "; run make images-pin" > "/dev/stderr"; exit 1 } }' \
	  $(IMAGES_LOCK); }; \
	  lines=$$($(foreach name,$(1),pinned '$(name)' '$(call image_reference,$(name))' '$(call image_options,$(name))' &&) :)
endef
# The command that saves them, and shows itself in one line, whatever else make does at the same time.
image_quoted = '$(subst ','\'',$(1))'
image_save = $(strip $(IMGFETCH) save -q $(IMGFETCH_FLAGS) $(IMGFETCH_SAVE_FLAGS) --if-changed -i - -o $@)
image_summary = $(if $(word 4,$(1)),$(words $(1)) images,$(foreach name,$(1),$(call image_reference,$(name))))
save_pinned = $(call image_pinned,$(1)) && printf '+ %s (%s)\n' $(call image_quoted,$(image_save)) $(call image_quoted,$(call image_summary,$(1))) >&2 \
  && printf '%s\n' "$$lines" | $(image_save)

# When the flags or the references change, every archive is looked at again.
images_wanted := $(strip $(IMGFETCH_FLAGS) $(IMGFETCH_SAVE_FLAGS) $(DOCKER_DEFAULT_PLATFORM) $(foreach name,$(images),$(name)=$(call image_reference,$(name)) $(call image_options,$(name))))
ifneq ($(images_wanted),$(strip $(shell cat $(IMAGES_DIR)/.wanted 2>/dev/null)))
.PHONY: $(IMAGES_DIR)/.wanted
endif
$(IMAGES_DIR)/.wanted: | $(IMAGES_DIR)
	@printf '%s\n' $(call image_quoted,$(images_wanted)) > $@

# --if-changed leaves an archive alone that is what the lock asks for; `touch` then tells make that this was looked at.
# Checksums of an archive that was written again would look like damage on the offline host.
drop_old_checksums = test ! $@ -nt $(IMAGES_DIR)/SHA256SUMS || rm -f $(IMAGES_DIR)/SHA256SUMS
$(images:%=$(IMAGES_DIR)/%.tar): $(IMAGES_DIR)/%.tar: $(IMAGES_LOCK) $(IMAGES_DIR)/.wanted
	@$(call save_pinned,$*)
	@$(drop_old_checksums)
	@touch $@

$(IMAGES_DIR)/bundle.tar: $(IMAGES_LOCK) $(IMAGES_DIR)/.wanted
	@$(call save_pinned,$(images))
	@$(drop_old_checksums)
	@touch $@

images_bundle := $(if $(filter images-bundle,$(MAKECMDGOALS))$(wildcard $(IMAGES_DIR)/bundle.tar),$(IMAGES_DIR)/bundle.tar)
$(IMAGES_DIR)/SHA256SUMS: $(images:%=$(IMAGES_DIR)/%.tar) $(images_bundle) $(IMAGES_DIR)/.wanted
	@cd $(IMAGES_DIR) && sha256sum $(notdir $(filter %.tar,$^)) > SHA256SUMS.new
	@mv $@.new $@
	@echo 'wrote $@; to check it: cd $(IMAGES_DIR) && sha256sum -c SHA256SUMS'

$(IMAGES_DIR):
	@mkdir -p $@

images-clean:
	rm -rf $(IMAGES_DIR)
