# The managed plugin, out of docker/Dockerfile and config.json. Needs a Docker engine and the internet.

DOCKER       ?= docker
PLUGIN       ?= s3mount
PLUGIN_IMAGE ?= s3mount-plugin-rootfs
# More for `docker build`: --network, --build-arg, --pull ..
PLUGIN_BUILD ?=
PLUGIN_DIR   := $(BUILD)/plugin

.PHONY: plugin plugin-image plugin-directory

## Build the Docker volume plugin and give it to the engine (PLUGIN=registry/name:tag)
plugin: plugin-directory
	$(DOCKER) plugin rm -f $(PLUGIN) >/dev/null 2>&1 || true
	$(DOCKER) plugin create $(PLUGIN) $(PLUGIN_DIR)
	@echo "Now: $(DOCKER) plugin enable $(PLUGIN), or $(DOCKER) plugin push $(PLUGIN)"

plugin-image:
	$(DOCKER) build $(PLUGIN_BUILD) -t $(PLUGIN_IMAGE) -f docker/Dockerfile .

# What `docker plugin create` wants: config.json beside rootfs/.
plugin-directory: plugin-image
	rm -rf $(PLUGIN_DIR) && mkdir -p $(PLUGIN_DIR)/rootfs
	id=$$($(DOCKER) create $(PLUGIN_IMAGE)) && \
		{ $(DOCKER) export $$id | tar -x -C $(PLUGIN_DIR)/rootfs; status=$$?; \
		$(DOCKER) rm $$id >/dev/null; exit $$status; }
	cp config.json $(PLUGIN_DIR)/
