// Command node is unchanged upstream Kubernetes for a worker node, the kubelet and kube-proxy, as
// one multi-call binary: it runs the component that its own file name (a symbolic link), or else
// its first argument, names. Myriad's control planes need neither; the lab's nodes run them.
package main

import (
	"context"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the version metric
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"github.com/myriad-fleet/myriad/distro/kubernetes/multicall"
)

func main() {
	multicall.Run(map[string]func() int{
		"kubelet":    func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
		"kube-proxy": func() int { return cli.Run(proxy.NewProxyCommand()) },
	})
}
