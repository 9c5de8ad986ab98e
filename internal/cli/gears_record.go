package cli

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// recordOrder is what 'gears record' was told.
type recordOrder struct {
	everywhere    bool
	file          string
	every, length time.Duration
}

func newGearsRecord(s *session) *cobra.Command {
	order := recordOrder{every: 30 * time.Second, length: 10 * time.Minute}
	command := &cobra.Command{
		Use:   "record [-A] [--to FILE]",
		Short: "Record the load of the fleet's clusters, to try out a Gearbox on it",
		Long: `Record the load of the clusters of a namespace, or of all, as the cells' agents report it: one sample a
line (JSON), each once. It ends by itself after --for; Ctrl-C ends it sooner, and what is written by then is whole. 'myriad gears
backtest --history FILE' replays it. Agents report what matters for a gear at once and everything else every thirteen minutes, so
that a day of a fleet of a hundred clusters is about 12,000 lines.`,
		Example: "  myriad gears record -A --for 24h --every 1m --to fleet.jsonl.gz\n  myriad gears backtest -f gearbox.yaml --history fleet.jsonl.gz",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.record(command.Context(), order)
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&order.everywhere, "all-namespaces", "A", false, "record the clusters of all namespaces")
	flags.StringVar(&order.file, "to", "", "file to write, compressed where its name ends in .gz (default: standard output)")
	flags.DurationVar(&order.every, "every", order.every, "how long between two looks, 1s at least")
	flags.DurationVar(&order.length, "for", order.length, "how long to record; 0 takes one look")
	return command
}

func (o recordOrder) check() error {
	switch {
	case o.every < time.Second:
		return fail(exitUsage, "--every %s is too short; agents sample every few seconds at most, so use 1s or more", o.every)
	case o.length < 0:
		return fail(exitUsage, "--for %s is negative; use a duration such as 24h", o.length)
	}
	return nil
}

func (s *session) record(ctx context.Context, order recordOrder) (err error) {
	if err := errors.Join(order.check(), s.onlyFields()); err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	out, closeAll, err := s.openRecording(order.file)
	if err != nil {
		return err
	}
	recording := &recording{session: s, hub: hub, order: order, out: out, last: map[string]metav1.Time{}}
	err = recording.run(ctx)
	if closed := closeAll(); closed != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = fmt.Errorf("write recording: %w", closed)
	}
	s.notef("%d samples of %d clusters are written", recording.samples, len(recording.last))
	return err
}

// openRecording opens a new file; one that exists is kept.
func (s *session) openRecording(name string) (io.Writer, func() error, error) {
	if name == "" {
		return s.out, func() error { return nil }, nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, fail(exitConflict, "write recording: %s exists already; choose another name, or delete it first", name)
	}
	if err != nil {
		return nil, nil, fail(exitUsage, "write recording: %w", err)
	}
	if !strings.HasSuffix(name, ".gz") {
		return file, file.Close, nil
	}
	compressed := gzip.NewWriter(file)
	return compressed, func() error { return errors.Join(compressed.Close(), file.Close()) }, nil
}

// recording is one run of 'gears record'.
type recording struct {
	*session

	hub     client.Client
	order   recordOrder
	out     io.Writer
	last    map[string]metav1.Time // time of the sample that was written last, by guest
	samples int
}

// run looks until the time is over. A hub that does not answer is asked again: it may be restarting.
func (r *recording) run(ctx context.Context) error {
	start := r.clock.Now()
	for {
		err := r.look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isUnreachable(err) && r.clock.Since(start) < r.order.length:
			r.notef("the hub does not answer; asking again in %s", r.order.every)
		case err != nil:
			return explain("read the load of clusters", err)
		}
		left := r.order.length - r.clock.Since(start)
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.clock.After(min(left, r.order.every)):
		}
	}
}

// look writes the samples that are new, all in one write: a recording never ends within a line.
func (r *recording) look(ctx context.Context) error {
	var planes v1alpha1.ControlPlaneList
	if err := r.hub.List(ctx, &planes); err != nil {
		return err
	}
	var fresh strings.Builder
	for _, plane := range planes.Items {
		load := plane.Status.Load
		last := r.last[plane.Spec.ID]
		if load == nil || load.SampledAt.Equal(&last) || (!r.order.everywhere && plane.Spec.Cluster.Namespace != r.namespace) {
			continue
		}
		line, err := json.Marshal(gear.Sample{Guest: plane.Spec.ID, Availability: plane.Spec.Availability, Load: *load})
		if err != nil {
			return fmt.Errorf("encode the load of guest %s: %w", plane.Spec.ID, err)
		}
		r.last[plane.Spec.ID] = load.SampledAt
		r.samples++
		_, _ = fresh.Write(append(line, '\n'))
	}
	if _, err := io.WriteString(r.out, fresh.String()); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return nil
}
