package main

import (
	"context"
	"fmt"

	"github.com/myriad-fleet/myriad/test/lab"
)

// status prints what runs.
func status(opened *lab.Lab, ctx context.Context) error {
	shown, err := opened.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Print(shown)
	return nil
}
