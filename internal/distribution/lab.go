package distribution

import "context"

// containerdModule is containerd's Go module.
const containerdModule = "github.com/containerd/containerd/v2"

// MakeLab makes what the nodes of a lab run available in the directory set: kubelet and kube-proxy
// of one version of Kubernetes ("v1.36.3"), and the containerd and the CoreDNS that distro/ pins; and
// kwok, whose nodes are fake. <set>/lab/<program> leads to each. What was not compiled before, is; beside the
// same version of Kubernetes (BuildKubernetes) all of it takes about four minutes on two cores.
func (b *Builder) MakeLab(ctx context.Context, version, set string) error {
	containerd, dir, err := b.buildContainerd(ctx)
	if err != nil {
		return err
	}
	if err := linkLab(set, projectContainerd, containerd, dir); err != nil {
		return err
	}
	coredns, dir, err := b.buildCoreDNS(ctx)
	if err != nil {
		return err
	}
	if err := linkLab(set, projectCoreDNS, coredns, dir); err != nil {
		return err
	}
	kwok, dir, err := b.buildKwok(ctx)
	if err != nil {
		return err
	}
	if err := linkLab(set, projectKwok, kwok, dir); err != nil {
		return err
	}
	dir, err = b.buildKubernetes(ctx, projectNode, "./node", "node/main.go", version)
	if err != nil {
		return err
	}
	return linkLab(set, projectNode, version, dir)
}

// buildContainerd compiles containerd, its shim and ctr, without the snapshotters that need C.
func (b *Builder) buildContainerd(ctx context.Context) (version, dir string, err error) {
	plan := recipe{project: projectContainerd, inputs: []string{"go.mod", "go.sum"}}
	return b.buildPinned(ctx, plan, containerdModule, func(name, version string) []string {
		flags := linkFlags + " -X " + containerdModule + "/version.Version=" + version
		return []string{"-tags", "no_btrfs no_devmapper", "-ldflags", flags, containerdModule + "/cmd/" + name}
	})
}

// buildCoreDNS compiles CoreDNS with the plugins that distro/coredns chooses.
func (b *Builder) buildCoreDNS(ctx context.Context) (version, dir string, err error) {
	plan := recipe{project: projectCoreDNS, inputs: []string{"main.go", "go.mod", "go.sum"}}
	return b.buildPinned(ctx, plan, "github.com/coredns/coredns", func(string, string) []string {
		return []string{"-ldflags", linkFlags, "."}
	})
}

// buildKwok compiles the controller of fake nodes, with the stages that it ships.
func (b *Builder) buildKwok(ctx context.Context) (version, dir string, err error) {
	plan := recipe{project: projectKwok, inputs: []string{"main.go", "go.mod", "go.sum"}}
	return b.buildPinned(ctx, plan, "sigs.k8s.io/kwok", func(string, string) []string {
		return []string{"-ldflags", linkFlags, "."}
	})
}
