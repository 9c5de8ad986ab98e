package lab

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/myriad-fleet/myriad/test/lab/policy"
	"github.com/myriad-fleet/myriad/test/lab/volumes"
)

// Controllers makes volumes and enforces network policies until ctx is done. It runs in the lab's
// namespaces.
func (l *Lab) Controllers(ctx context.Context, kubeconfig string, log *slog.Logger) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	enforcer, err := policy.NewEnforcer(factory, log)
	if err != nil {
		return err
	}
	controller, err := volumes.NewController(client, factory, l.volumesOf, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	factory.Start(ctx.Done())
	group.Go(func() error { return enforcer.Run(ctx) })
	group.Go(func() error { return enforcer.Serve(ctx, l.enforcerSocket()) })
	group.Go(func() error { return controller.Run(ctx) })
	return group.Wait()
}

// volumesOf is the directory of a node's volumes.
func (l *Lab) volumesOf(nodeName string) (string, error) {
	for _, zone := range Zones() {
		if NodeName(zone) == nodeName {
			return l.node(zone).volumes(), nil
		}
	}
	return "", fmt.Errorf("node %q is none of the lab's", nodeName)
}
