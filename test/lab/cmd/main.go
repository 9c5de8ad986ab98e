// Command lab brings a real cell up on this machine and takes it down again. It needs root.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/test/lab"
	"github.com/myriad-fleet/myriad/test/lab/policy"
)

// exitNotCapable tells suites that this machine cannot run a lab, which is no failure of the lab.
const exitNotCapable = 3

func main() { os.Exit(run()) }

func run() int {
	if filepath.Base(os.Args[0]) == policy.Plugin {
		if err := policy.RunPlugin(os.Getenv, os.Stdin, os.Stdout); err != nil {
			return 1 // it is told on standard output
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "lab:", err)
	if errors.Is(err, lab.ErrNotCapable) {
		return exitNotCapable
	}
	return 1
}

// command of the lab in a directory.
type command struct {
	dir string
}

func newRoot() *cobra.Command {
	c := &command{}
	root := &cobra.Command{
		Use: "lab", Short: "A real cell on one machine: three kubelets in three zones",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&c.dir, "dir", "", "directory of the lab (default $MYRIAD_LAB, else "+lab.DefaultDir+")")
	root.AddCommand(
		c.simple("up", "Bring the lab up, or what is missing of it", up),
		c.simple("down", "Remove the lab and all of its traces", down),
		c.simple("inventory", "List everything of the lab that is on this machine", inventory),
		c.simple("status", "Show the nodes and what runs", status),
		c.fail(), c.restore(), c.inside(), c.join(), c.controllers())
	return root
}

func (c *command) open() (*lab.Lab, error) {
	opened, err := lab.Open(c.dir)
	if err != nil {
		return nil, err
	}
	opened.Report(func(format string, arguments ...any) { fmt.Printf(format+"\n", arguments...) })
	return opened, nil
}

func (c *command) simple(use, short string, run func(context.Context, *lab.Lab) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		opened, err := c.open()
		if err != nil {
			return err
		}
		return run(cmd.Context(), opened)
	}}
}

func (c *command) fail() *cobra.Command {
	var mode string
	fail := &cobra.Command{Use: "fail ZONE", Short: "Have a zone's node fail until it is restored", Args: cobra.ExactArgs(1)}
	fail.Flags().StringVar(&mode, "mode", string(lab.Kill), "kill: its processes die; hang: they stop where they are")
	fail.RunE = func(cmd *cobra.Command, arguments []string) error {
		opened, err := c.open()
		if err != nil {
			return err
		}
		return opened.Fail(cmd.Context(), arguments[0], lab.Mode(mode))
	}
	return fail
}

func (c *command) restore() *cobra.Command {
	return &cobra.Command{
		Use: "restore ZONE", Short: "Let a failed zone run again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, arguments []string) error {
			opened, err := c.open()
			if err != nil {
				return err
			}
			return opened.Restore(cmd.Context(), arguments[0])
		},
	}
}

// inside, join and controllers are how the lab runs this program itself.
func (c *command) inside() *cobra.Command {
	return &cobra.Command{Use: "inside", Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		opened, err := c.open()
		if err != nil {
			return err
		}
		return opened.Inside(cmd.Context(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}}
}

func (c *command) join() *cobra.Command {
	var cgroup, socket string
	join := &cobra.Command{Use: "join PROGRAM [ARGUMENT...]", Hidden: true, Args: cobra.MinimumNArgs(1)}
	join.Flags().StringVar(&cgroup, "cgroup", "", "cgroup to move into")
	join.Flags().StringVar(&socket, "socket", "", "socket that must be listened at first")
	join.RunE = func(cmd *cobra.Command, arguments []string) error {
		return lab.Join(cmd.Context(), cgroup, socket, arguments[0], arguments[1:])
	}
	return join
}

func (c *command) controllers() *cobra.Command {
	var kubeconfig string
	run := &cobra.Command{Use: "controllers", Hidden: true, Args: cobra.NoArgs}
	run.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the cell")
	run.RunE = func(cmd *cobra.Command, _ []string) error {
		opened, err := c.open()
		if err != nil {
			return err
		}
		return opened.Controllers(cmd.Context(), kubeconfig, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	return run
}
