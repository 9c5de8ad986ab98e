// The mix command drives the guest of a kubeconfig through a mix of objects, watches and requests and
// reports latencies and errors by verb.
//
//	go run ./test/load/mix/cmd --kubeconfig hello.kubeconfig --mix climb
//
// It removes what it made, also after an interrupt. It exits 0 when the mix was carried out to its end and
// removed, 1 otherwise, 2 when it could not start.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/myriad-fleet/myriad/test/load/mix"
	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

func main() {
	os.Exit(run())
}

// flags of the command line.
type flags struct {
	options          mix.Options
	kubeconfig, name string
	format           string
}

func parse() (flags, error) {
	var f flags
	flag.StringVar(&f.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the guest to load")
	flag.StringVar(&f.name, "mix", "idle", "mix to carry out: one of "+strings.Join(mix.Names(), ", ")+", or a file with the ending .yaml")
	flag.Uint64Var(&f.options.Seed, "seed", 1, "seed of the operations and the names; two runs on one guest need different ones")
	flag.DurationVar(&f.options.Length, "length", 0, "length of each phase, instead of the mix's own")
	flag.StringVar(&f.options.Kwok, "kwok", "", "path of the kwok that 'make lab-distro' compiles, to run the pods of fake nodes; without it they stay Pending")
	flag.StringVar(&f.format, "output", "table", "how to report: table or json")
	flag.Func("allow", "network that may be loaded besides loopback addresses, like 10.96.0.0/16; may be repeated", func(value string) error {
		prefix, err := netip.ParsePrefix(value)
		f.options.Allow = append(f.options.Allow, prefix)
		return err
	})
	flag.Parse()
	if flag.NArg() > 0 || f.format != "table" && f.format != "json" {
		return f, errors.New("write flags only, and --output=table or --output=json")
	}
	var err error
	f.options.Mix, err = choose(f.name)
	f.options.OnPhase = func(name string) { fmt.Fprintln(os.Stderr, "mix: phase", name) }
	return f, err
}

// choose a mix by its name, or read one from a file.
func choose(name string) (plan.Mix, error) {
	if !strings.HasSuffix(name, ".yaml") {
		return mix.Embedded(name)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return plan.Mix{}, fmt.Errorf("read a mix: %w", err)
	}
	chosen, err := plan.Decode(content)
	if err != nil {
		return plan.Mix{}, fmt.Errorf("%s: %w", name, err)
	}
	return chosen, nil
}

func run() int {
	f, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mix:", err)
		return 2
	}
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		fmt.Fprintf(os.Stderr, "mix: read the kubeconfig %q: %v; name one with --kubeconfig\n", f.kubeconfig, err)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	started, err := mix.Start(ctx, config, f.options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mix:", err)
		return 2
	}
	select {
	case <-started.Done():
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "mix: interrupted, removing what was made")
	}
	report := started.Stop()
	if err := show(report, f.format); err != nil {
		fmt.Fprintln(os.Stderr, "mix: write the report:", err)
		return 2
	}
	if report.Interrupted != "" || report.CleanupError != "" {
		return 1
	}
	return 0
}

// show the report.
func show(report mix.Report, format string) error {
	if format == "table" {
		return report.Print(os.Stdout)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
