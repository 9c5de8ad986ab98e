// The load command puts a steady load on the API server of a kubeconfig and reports, as JSON, which
// requests failed and whether anything that was acknowledged got lost.
//
//	go run ./test/load/cmd --kubeconfig hello.kubeconfig --duration 1m
//
// It exits 0 when no request failed and nothing was lost, 1 otherwise, 2 when it could not start.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/myriad-fleet/myriad/test/load"
)

func main() {
	os.Exit(run())
}

func run() int {
	var options load.Options
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the cluster to load")
	duration := flag.Duration("duration", time.Minute, "how long to send requests; an interrupt ends it early")
	flag.Uint64Var(&options.Seed, "seed", 1, "seed of the mix of requests; two loads on one cluster need different ones")
	flag.Float64Var(&options.Rate, "rate", 60, "requests per second")
	flag.StringVar(&options.Namespace, "namespace", "default", "namespace that the ConfigMaps are written to")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintf(os.Stderr, "load: reading the kubeconfig %q: %v; name one with --kubeconfig\n", *kubeconfig, err)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, *duration)
	defer stop()
	started, err := load.Start(ctx, config, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		return 2
	}
	<-ctx.Done()
	report := started.Stop()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(report); err != nil {
		fmt.Fprintln(os.Stderr, "load: writing the report:", err)
		return 2
	}
	if err := report.Flawless(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		return 1
	}
	return 0
}
