package main

import (
	"context"
	"fmt"

	"github.com/myriad-fleet/myriad/test/lab"
)

func up(ctx context.Context, opened *lab.Lab) error { return opened.Up(ctx) }

func down(ctx context.Context, opened *lab.Lab) error { return opened.Down(ctx) }

// status prints what runs.
func status(ctx context.Context, opened *lab.Lab) error {
	shown, err := opened.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Print(shown)
	return nil
}
