package main

import (
	"context"
	"fmt"

	"github.com/myriad-fleet/myriad/test/lab"
)

func up(ctx context.Context, opened *lab.Lab) error { return opened.Up(ctx) }

func down(ctx context.Context, opened *lab.Lab) error { return opened.Down(ctx) }

// inventory prints what there is, nothing when there is nothing.
func inventory(ctx context.Context, opened *lab.Lab) error {
	i, err := opened.Inventory(ctx)
	if err != nil {
		return err
	}
	for _, list := range [][]string{i.Processes, i.Namespaces, i.Links, i.Routes, i.Rules, i.Mounts, i.Cgroups, i.Files} {
		for _, item := range list {
			fmt.Println(item)
		}
	}
	return nil
}

// status prints what runs.
func status(ctx context.Context, opened *lab.Lab) error {
	shown, err := opened.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Print(shown)
	return nil
}
