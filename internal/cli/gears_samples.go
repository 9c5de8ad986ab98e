package cli

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/gear/recorded"
)

// mostGuests that the embedded samples are scaled up to: the largest fleet that myriad is made for.
const mostGuests = 10_000

// load is what the order says to replay, and what that is in words.
func (o backtestOrder) load() (string, iter.Seq[gear.Sample], error) {
	if o.history != "" {
		samples, err := readHistory(o.history)
		return o.history, slices.Values(samples), err
	}
	if o.guests < 1 || o.guests > mostGuests {
		return "", nil, fail(exitUsage, "--guests %d is out of range; use 1 to %d", o.guests, mostGuests)
	}
	embedded, err := recorded.Samples()
	if err != nil {
		return "", nil, err
	}
	what := fmt.Sprintf("that comes with myriad (%s), scaled up to %d clusters by a generator (seed %d); record your own: myriad gears record",
		recorded.Origin, o.guests, o.seed)
	return what, recorded.All(o.seed, o.guests, embedded), nil
}

// readHistory reads a recording.
func readHistory(file string) ([]gear.Sample, error) {
	in, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fail(exitNotFound, "read recording: there is no file %s; write one: myriad gears record -A --to %s", file, file)
	}
	if err != nil {
		return nil, fail(exitUsage, "read recording: %w", err)
	}
	defer in.Close()
	samples, err := recorded.Read(in)
	if err == nil {
		err = checkSamples(samples)
	}
	if err != nil {
		return nil, fail(exitUsage, "read recording %s: %w", file, err)
	}
	return samples, nil
}

// checkSamples of a recording, which somebody may have put together by hand.
func checkSamples(samples []gear.Sample) error {
	if len(samples) == 0 {
		return errors.New("it holds no samples; record for longer, or with -A")
	}
	last := map[string]time.Time{}
	for i, sample := range samples {
		at := sample.Load.SampledAt.Time
		switch {
		case sample.Availability != v1alpha1.Single && sample.Availability != v1alpha1.Zonal:
			return fmt.Errorf("sample %d: availability %q is not known; use %s or %s", i+1, sample.Availability, v1alpha1.Single, v1alpha1.Zonal)
		case at.Before(last[sample.Guest]):
			return fmt.Errorf("sample %d: it is older than the one of guest %s before it; sort each guest's samples by time", i+1, sample.Guest)
		}
		last[sample.Guest] = at
	}
	return nil
}
