package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/local"
)

const (
	helloName   = "hello"
	helloRegion = "cn-hangzhou"
)

func newUp(s *session) *cobra.Command {
	var options local.UpOptions
	var noHello bool
	var leafLifetime time.Duration
	var cells []string
	command := &cobra.Command{
		Use:   "up",
		Short: "Start a fleet on this machine, or bring back what has stopped",
		Long: `Start a fleet on this machine: a hub, three cells in two regions, gateways, and the cluster hello.

What runs already is left alone; a second 'myriad up' changes nothing. After a reboot it brings everything back.
All state is in the home directory; 'myriad down' stops the processes and keeps it.`,
		Example: "  myriad up\n  myriad up --home /tmp/fleet --kubernetes-dir /opt/kubernetes/bin",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			options.Home = s.home
			options.Report = local.Lines(s.err, s.clock)
			if leafLifetime != 0 {
				options.LeafLifetime = leafLifetime.String()
			}
			for _, text := range cells {
				cell, err := local.ParseKubernetesCell(text)
				if err != nil {
					return fail(exitUsage, "--cell: %v", err)
				}
				options.KubernetesCells = append(options.KubernetesCells, cell)
			}
			home, err := local.Up(command.Context(), options)
			if err != nil {
				return fmt.Errorf("myriad up: %w", err)
			}
			s.kubeconfig = home.Kubeconfig()
			if noHello {
				return nil
			}
			return s.sayHello(command.Context())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := command.Flags()
	flags.StringVar(&options.KubernetesDir, "kubernetes-dir", "", "directory with kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, etcd, etcdctl and etcdutl (default: what 'make distro' built)")
	flags.StringArrayVar(&cells, "cell", nil, "have a Kubernetes cluster join as a cell, as NAME=KUBECONFIG or NAME@REGION=KUBECONFIG; its nodes carry the label topology.kubernetes.io/zone")
	flags.BoolVar(&noHello, "no-hello", false, "do not create the cluster hello")
	flags.DurationVar(&leafLifetime, "leaf-lifetime", 0, "lifetime of the guests' leaf certificates (default: 30 days, or what the home had)")
	must(flags.MarkHidden("leaf-lifetime"))
	return command
}

// sayHello has the cluster hello created and ready, shows what it answers, and what to try next.
func (s *session) sayHello(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	s.namespace = metav1.NamespaceDefault
	hello := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: helloName},
		Spec:       v1alpha1.ClusterSpec{Region: helloRegion, Template: defaultTemplate},
	}
	if err := hub.Create(ctx, hello); client.IgnoreAlreadyExists(err) != nil {
		return explain("create cluster hello", err)
	}
	spent, err := s.awaitCluster(ctx, hub, helloName, forReady)
	if err != nil {
		return err
	}
	s.notef("cluster hello is ready (%s); asking it through the gateway:", spent)
	for _, words := range [][]string{{"version"}, {"get", "namespaces"}} {
		if err := s.runKubectl(ctx, helloName, "admin", words); err != nil {
			return err
		}
	}
	if hello, err = s.findCluster(ctx, hub, helloName); err != nil {
		return err
	}
	kubectl, err := s.kubectl(s.home, hello.Status.Version)
	if err != nil {
		return fmt.Errorf("find kubectl: %w", err)
	}
	return s.print(`
The fleet is up. Try:
  myriad cluster list
  myriad kubectl hello -- create namespace shop
  myriad cluster create prod --region eu-frankfurt --availability zonal --wait
  myriad zone fail fra-1 a --mode kill       # a drill: prod goes on without zone a
  myriad zone restore fra-1 a
  myriad cluster kubeconfig hello            # for any kubectl on this machine
  ` + kubectl + ` --kubeconfig ` + s.kubeconfig + ` get regions,cells,clusters -A
  myriad down                                # stops everything; 'myriad up' brings it back
`)
}

// print writes a result.
func (s *session) print(text string) error {
	if _, err := fmt.Fprint(s.out, text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
