package local

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/hub"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// UpOptions say how to bring a fleet up.
type UpOptions struct {
	// Home directory; made when it is missing.
	Home string
	// KubernetesDir holds the binaries to use: what 'make distro' made, or official ones in one
	// flat directory. Empty: $MYRIAD_DISTRO, else what 'make distro' left beside the program.
	KubernetesDir string
	// LeafLifetime of the guests' leaf certificates, a Go duration; empty keeps what the home has.
	LeafLifetime string
	// KubernetesCells that join the fleet now. They stay in it.
	KubernetesCells []KubernetesCell
	// Report is told what happens.
	Report Report
}

// up carries one run of Up from step to step.
type up struct {
	UpOptions
	home     *Home
	binary   string
	versions versions
	identity pki.Identity
	platform *platform
	config   *rest.Config
	client   client.Client
	regions  []v1alpha1.Region
	cells    []v1alpha1.Cell
	// kubernetesCells joined beside those of the default fleet.
	kubernetesCells []v1alpha1.Cell
}

// Up brings the fleet of a home up, or brings what has stopped back. What runs already is left
// alone, so that a second call changes nothing. Each step repairs what an earlier call left half done:
//
//  1. home: directory, lock, loopback network, binaries
//  2. supervisor of the platform
//  3. hub: identity, etcd, kube-apiserver, operator's kubeconfig
//  4. API: kinds, rights, the default fleet's objects
//  5. controllers of the hub
//  6. gateways and cells: credentials, processes
//  7. wait until every cell is Ready and every gateway listens
//  8. wait for the guests that were there before: what the hub says of them may be from before a reboot
func Up(ctx context.Context, options UpOptions) (*Home, error) {
	home, err := createHome(options.Home)
	if err != nil {
		return nil, err
	}
	unlock, err := home.lock(ctx, options.Report)
	if err != nil {
		return nil, err
	}
	defer unlock()
	u := &up{UpOptions: options, home: home}
	steps := []struct {
		what string
		run  func(context.Context) error
	}{
		{"home: addresses and binaries", u.prepareHome},
		{"supervisor of the platform", u.startPlatform},
		{"hub: etcd and kube-apiserver", u.startHub},
		{"API: kinds and the default fleet", u.installAPI},
		{"controllers of the hub", u.startControllers},
		{"gateways and cells", u.startDaemons},
		{"waiting for cells and gateways", u.waitFleet},
		{"waiting for the guests that were there before", u.waitGuests},
	}
	for _, step := range steps {
		options.Report("%s", step.what)
		if err := step.run(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return home, nil
}

func (u *up) prepareHome(context.Context) error {
	// OpenHome read the settings before the lock was ours.
	if err := u.home.load(); err != nil {
		return err
	}
	network, err := machineRegistry().claim(u.home)
	if err != nil {
		return err
	}
	u.home.Settings.Network = network
	if !slices.Contains(controlplane.Revisions(), u.home.Settings.HubRevision) {
		u.home.Settings.HubRevision = controlplane.LatestRevision()
	}
	if u.LeafLifetime != "" {
		u.home.Settings.LeafLifetime = u.LeafLifetime
	}
	if err := u.home.keepKubernetesCells(u.KubernetesCells); err != nil {
		return err
	}
	if err := u.home.save(); err != nil {
		return err
	}
	if u.versions, err = u.home.linkBinaries(u.KubernetesDir); err != nil {
		return err
	}
	u.binary, err = u.home.installBinary()
	return err
}

func (u *up) startPlatform(ctx context.Context) error {
	u.platform = &platform{home: u.home, binary: u.binary, client: process.NewClient(u.home.PlatformDir())}
	return u.platform.ensure(ctx)
}

func (u *up) startHub(ctx context.Context) error {
	var err error
	if u.identity, err = u.home.keepIdentity(); err != nil {
		return err
	}
	newest := u.versions.kubernetes[len(u.versions.kubernetes)-1]
	manifest, err := hubManifest(u.home, u.identity, newest, u.versions.etcd)
	if err != nil {
		return err
	}
	if err := startHub(ctx, u.platform.client, manifest); err != nil {
		return err
	}
	if u.config, err = writeKubeconfig(u.home, u.identity); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	if u.client, err = client.New(u.config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connect to the hub: %w", err)
	}
	return nil
}

func (u *up) installAPI(ctx context.Context) error {
	if err := hub.Install(ctx, u.config); err != nil {
		return err
	}
	var areas []string
	for _, region := range defaultRegions {
		areas = append(areas, region.area)
	}
	recipients, err := u.home.keepRecoveryKeys(areas)
	if err != nil {
		return err
	}
	for _, object := range topology(u.home.Settings.Network, recipients, u.versions.kubernetes, u.versions.etcd) {
		// What is there already may have been changed by its operator: it stays.
		if err := u.client.Create(ctx, object); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("write %T %s: %w", object, object.GetName(), err)
		}
	}
	if err := u.readTopology(ctx); err != nil {
		return err
	}
	return u.joinKubernetesCells(ctx)
}

// readTopology keeps the default fleet's own regions and cells: others may have been added that
// run elsewhere.
func (u *up) readTopology(ctx context.Context) error {
	u.regions, u.cells = make([]v1alpha1.Region, len(defaultRegions)), make([]v1alpha1.Cell, len(defaultCells))
	for i, region := range defaultRegions {
		if err := u.client.Get(ctx, client.ObjectKey{Name: region.name}, &u.regions[i]); err != nil {
			return fmt.Errorf("read region %s: %w", region.name, err)
		}
	}
	for i, cell := range defaultCells {
		if err := u.client.Get(ctx, client.ObjectKey{Name: cell.name}, &u.cells[i]); err != nil {
			return fmt.Errorf("read cell %s: %w", cell.name, err)
		}
	}
	return nil
}

func (u *up) startControllers(ctx context.Context) error {
	err := u.home.keepClient(clientFiles{
		kubeconfig: u.home.path("hub", "controllers", "kubeconfig"),
		directory:  u.home.path("hub", "controllers"),
		name:       "myriad-hub",
		leaf:       pki.Leaf{CommonName: "myriad:hub", Organizations: []string{"myriad:hubs"}, Client: true, Lifetime: serverLifetime},
	}, u.identity)
	if err != nil {
		return err
	}
	return u.platform.client.Apply(ctx, controllersManifest(u.home, u.binary))
}

func (u *up) startDaemons(ctx context.Context) error {
	for i := range u.regions {
		if err := u.startGateways(ctx, &u.regions[i]); err != nil {
			return err
		}
	}
	for i := range u.cells {
		cell := &u.cells[i]
		if err := u.startCell(ctx, cell, cellManifest(u.home, u.binary, i, cell)); err != nil {
			return err
		}
	}
	for i := range u.kubernetesCells {
		cell := &u.kubernetesCells[i]
		if err := u.startCell(ctx, cell, kubernetesCellManifest(u.home, u.binary, cell.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (u *up) startGateways(ctx context.Context, region *v1alpha1.Region) error {
	for instance := 1; instance <= gatewaysPerRegion; instance++ {
		directory := u.home.GatewayDir(region.Name, instance)
		if err := u.home.keepClient(hubClient(directory, v1alpha1.GatewayUser(region.Name, instance), serverLifetime), u.identity); err != nil {
			return err
		}
	}
	manifest, err := gatewayManifest(u.home, u.binary, region)
	if err != nil {
		return err
	}
	return u.platform.client.Apply(ctx, manifest)
}

func (u *up) startCell(ctx context.Context, cell *v1alpha1.Cell, manifest controlplane.Manifest) error {
	name := v1alpha1.AgentUser(cell.Name, cell.Spec.CredentialGeneration)
	if err := u.home.keepClient(hubClient(u.home.AgentDir(cell.Name), name, agentLifetime), u.identity); err != nil {
		return err
	}
	return u.platform.client.Apply(ctx, manifest)
}
