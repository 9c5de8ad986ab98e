package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/myriad-fleet/myriad/internal/agent"
	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// defaultVolume is the size of each etcd member's volume: etcd's largest database (8 GiB), its log and
// a snapshot of it on the way.
const defaultVolume = "10Gi"

// agentFlags are the flags of 'myriad agent'.
type agentFlags struct {
	options    agent.Options
	binaries   string // directory of the distribution
	runtimeDir string // of the process runtime
	kubernetes kubernetesFlags
}

// kubernetesFlags are those of a cell that is a Kubernetes cluster.
type kubernetesFlags struct {
	kubeconfig, storageClass, volumeSize string
	slots                                int
	agents, gateways, private            []string
}

func newAgent(s *session) *cobra.Command {
	var f agentFlags
	command := &cobra.Command{
		Use:   "agent",
		Short: "Run the agent of a cell",
		Long: `Run the agent of a cell. With --runtime-dir its guests run as processes of this machine, under the
supervisor of that directory; with --cell-kubeconfig they run in the Kubernetes cluster that it leads to.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if f.options.SnapshotsRegion != "" && f.options.Snapshots == "" {
				return fail(exitUsage, "--snapshots-region says where the store of --snapshots lies: name that, too")
			}
			f.options.Kubeconfig = filepath.Join(f.options.Dir, "hub", "kubeconfig")
			f.options.Versions = kubernetesVersions(f.binaries)
			f.options.Version = clientVersion()
			f.options.Clock, f.options.Log = clock.RealClock{}, s.daemonLog()
			return f.run(command.Context())
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.options.Cell, "cell", "", "name of the cell")
	flags.StringVar(&f.options.Dir, "dir", "", "directory of the agent's state; <dir>/hub/kubeconfig leads to the hub")
	flags.StringVar(&f.binaries, "distribution", "", "directory of the binaries of Kubernetes and etcd, which tells the versions that the cell can run")
	flags.DurationVar(&f.options.LeafLifetime, "leaf-lifetime", 30*24*time.Hour, "lifetime of the guests' leaf certificates")
	flags.StringVar(&f.options.Snapshots, "snapshots", "", "store of etcd's snapshots, as a URL such as file:///var/lib/snapshots or s3://bucket?region=eu-central-1; none without it")
	flags.StringVar(&f.options.SnapshotsRegion, "snapshots-region", "", "Region in which that store lies, by which the residency of guests is judged (default: the cell's own)")
	flags.StringVar(&f.runtimeDir, "runtime-dir", "", "directory of the cell's supervisor")
	k := &f.kubernetes
	flags.StringVar(&k.kubeconfig, "cell-kubeconfig", "", "kubeconfig of the Kubernetes cluster that is the cell")
	flags.StringVar(&k.storageClass, "storage-class", "", "StorageClass of etcd's volumes (default: the cluster's own default)")
	flags.StringVar(&k.volumeSize, "volume-size", defaultVolume, "size of each etcd member's volume")
	flags.IntVar(&k.slots, "start-slots", 0, "how many guests may start at once (default: two per core of the smallest zone)")
	flags.StringSliceVar(&k.agents, "agent-networks", nil, "networks that the agent's connections to guests come from (default: its address towards the cell's API server)")
	flags.StringSliceVar(&k.gateways, "gateway-networks", nil, "networks that gateways' connections to guests' API servers come from (default: any)")
	flags.StringSliceVar(&k.private, "private-networks", nil, "networks of the cell that guests' API servers must not reach out to, such as those of its nodes and pods")
	command.MarkFlagsOneRequired("runtime-dir", "cell-kubeconfig")
	command.MarkFlagsMutuallyExclusive("runtime-dir", "cell-kubeconfig")
	return mustHave(command, "cell", "dir", "distribution")
}

// run runs the agent, and beside it the runtime where that is a part of this process.
func (f *agentFlags) run(ctx context.Context) error {
	if f.runtimeDir != "" {
		f.options.Runtime = process.NewClient(f.runtimeDir)
		return agent.Run(ctx, f.options)
	}
	logger := logr.FromSlogHandler(f.options.Log.Handler())
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	runtime, err := f.kubernetes.runtime(f.options)
	if err != nil {
		return fmt.Errorf("cell %s: %w", f.options.Cell, err)
	}
	f.options.Runtime, f.options.AnyAddress = runtime, true
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return runtime.Run(groupCtx) })
	group.Go(func() error { return agent.Run(groupCtx, f.options) })
	return group.Wait()
}

func (k *kubernetesFlags) runtime(o agent.Options) (*kubernetes.Runtime, error) {
	config, err := clientcmd.BuildConfigFromFlags("", k.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", k.kubeconfig, err)
	}
	size, err := resource.ParseQuantity(k.volumeSize)
	if err != nil {
		return nil, fmt.Errorf("--volume-size %q: %w; write for example 10Gi", k.volumeSize, err)
	}
	cell := objects.Cell{Name: o.Cell, StorageClass: k.storageClass, VolumeSize: size}
	var problems [3]error
	cell.Agents, problems[0] = prefixes("agent-networks", k.agents)
	cell.Gateways, problems[1] = prefixes("gateway-networks", k.gateways)
	cell.Private, problems[2] = prefixes("private-networks", k.private)
	if err := errors.Join(problems[:]...); err != nil {
		return nil, err
	}
	if len(cell.Agents) == 0 {
		if cell.Agents, err = ownNetworks(config.Host); err != nil {
			return nil, err
		}
	}
	return kubernetes.New(kubernetes.Options{
		Config: config, Cell: cell, Slots: k.slots, DrillsFile: filepath.Join(o.Dir, "drills.json"), Identity: agentIdentity(o.Dir),
		Clock: o.Clock, Log: o.Log,
	})
}

// ownNetworks is the address that this machine's connections to a URL come from, as networks.
func ownNetworks(server string) ([]netip.Prefix, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("address of the cell's API server: %w", err)
	}
	port := parsed.Port()
	if port == "" {
		port = "443"
	}
	// UDP: the route is chosen and nothing is sent.
	connection, err := net.Dial("udp", net.JoinHostPort(parsed.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("find out which address leads to the cell's API server %s: %w; name it with --agent-networks", server, err)
	}
	defer func() { _ = connection.Close() }() // nothing was sent
	own, err := netip.ParseAddrPort(connection.LocalAddr().String())
	if err != nil {
		return nil, fmt.Errorf("read this machine's own address: %w", err)
	}
	address := own.Addr().Unmap()
	return []netip.Prefix{netip.PrefixFrom(address, address.BitLen())}, nil
}

// agentIdentity tells agents of one cell apart: a directory has one agent at a time.
func agentIdentity(dir string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + dir
}

func prefixes(flag string, texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w; write networks such as 10.0.0.0/16", flag, err)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

// kubernetesVersions looks anew at each call: 'myriad up' may link another version.
func kubernetesVersions(directory string) func() ([]string, error) {
	return func() ([]string, error) {
		set, err := distribution.Open(directory)
		if err != nil {
			return nil, err
		}
		return set.KubernetesVersions()
	}
}
