// The myriad program runs a fleet of Kubernetes clusters and everything of it: the user's commands,
// the hub's controllers, the agents of cells, and the gateways of regions.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/myriad-fleet/myriad/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
