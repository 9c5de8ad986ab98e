module github.com/myriad-fleet/myriad/distro/kubernetes
