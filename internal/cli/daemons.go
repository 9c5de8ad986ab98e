package cli

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/gateway"
	"github.com/myriad-fleet/myriad/internal/hub"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// daemonLog writes to standard error, which a daemon's supervisor keeps in a file.
func (s *session) daemonLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.err, nil))
}

// mustHave marks flags that a command cannot do without.
func mustHave(command *cobra.Command, flags ...string) *cobra.Command {
	for _, flag := range flags {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(fmt.Sprintf("command %s has no flag %s", command.Name(), flag))
		}
	}
	return command
}

func newHub(s *session) *cobra.Command {
	var kubeconfig, certificate, key, metrics string
	command := &cobra.Command{
		Use:   "hub",
		Short: "Run the controllers of the hub",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
			}
			authority, err := readAuthority(certificate, key)
			if err != nil {
				return err
			}
			return hub.Run(cmd.Context(), hub.Options{
				Config:                 config,
				AgentAuthority:         authority,
				LeaderElectionIdentity: processIdentity(),
				MetricsAddress:         metrics,
				Clock:                  clock.RealClock{},
				Log:                    s.daemonLog(),
			})
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the hub's controllers")
	command.Flags().StringVar(&certificate, "agent-ca-certificate", "", "certificate (PEM) of the authority that signs agents' certificates")
	command.Flags().StringVar(&key, "agent-ca-key", "", "private key (PEM) of that authority")
	command.Flags().StringVar(&metrics, "metrics-address", "", "host:port to serve Prometheus metrics and Go's profiles on, over plain HTTP: keep it off the network (default: none)")
	return mustHave(command, "kubeconfig", "agent-ca-certificate", "agent-ca-key")
}

// processIdentity tells two hubs on one host apart in the leader election's Lease.
func processIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()[:8]
}

func readAuthority(certificateFile, keyFile string) (*pki.Authority, error) {
	certificate, err := os.ReadFile(certificateFile)
	if err != nil {
		return nil, fmt.Errorf("read agents' authority: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read agents' authority: %w", err)
	}
	authority, err := pki.ParseAuthority(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("agents' authority %s: %w", certificateFile, err)
	}
	return authority, nil
}

func newGateway(s *session) *cobra.Command {
	var region, listen, dir string
	var instance int
	command := &cobra.Command{
		Use:   "gateway",
		Short: "Run a gateway of a region",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := netip.ParseAddrPort(listen)
			if err != nil {
				return fmt.Errorf("--listen: %w; write address:port, for example 192.0.2.10:6443", err)
			}
			kubeconfig := filepath.Join(dir, "hub", "kubeconfig")
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
			}
			server, err := gateway.New(gateway.Options{
				Region: region, Instance: instance, Listen: address,
				Config: config, Dir: dir,
				Clock: clock.RealClock{}, Log: s.daemonLog(),
			})
			if err != nil {
				return err
			}
			return server.Run(cmd.Context())
		},
	}
	command.Flags().StringVar(&region, "region", "", "name of the region")
	command.Flags().IntVar(&instance, "instance", 1, "number of this gateway in its region, from 1")
	command.Flags().StringVar(&listen, "listen", "", "address:port shared by all guests")
	command.Flags().StringVar(&dir, "dir", "", "directory of the gateway's state; <dir>/hub/kubeconfig leads to the hub")
	return mustHave(command, "region", "listen", "dir")
}

func newSupervisor(s *session) *cobra.Command {
	var dir, binaries, network, zones, slotsDir string
	var slots int
	command := &cobra.Command{
		Use:   "supervisor",
		Short: "Run the processes of one directory and restart what dies",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var prefix netip.Prefix
			if network != "" {
				var err error
				if prefix, err = netip.ParsePrefix(network); err != nil {
					return fmt.Errorf("--network: %w; write a loopback network, for example 127.80.16.0/20", err)
				}
			}
			set, err := distribution.Open(binaries)
			if err != nil {
				return err
			}
			supervisor, err := process.NewSupervisor(process.Options{
				Dir: dir, Network: prefix, Zones: strings.FieldsFunc(zones, func(r rune) bool { return r == ',' }),
				Programs: set, SlotsDir: slotsDir, Slots: slots,
				Clock: clock.RealClock{}, Log: s.daemonLog(),
			})
			if err != nil {
				return err
			}
			return supervisor.Run(cmd.Context())
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "directory of the processes and their state")
	command.Flags().StringVar(&binaries, "distribution", "", "directory of the binaries of Kubernetes and etcd")
	command.Flags().StringVar(&network, "network", "", "loopback network (/20) to give guests addresses from; none without it")
	command.Flags().StringVar(&zones, "zones", "", "zones of the cell, separated by commas")
	command.Flags().StringVar(&slotsDir, "slots-dir", "", "directory of the start slots shared with other supervisors")
	command.Flags().IntVar(&slots, "slots", 0, "how many guests may start at once; 0: no limit")
	return mustHave(command, "dir", "distribution")
}
