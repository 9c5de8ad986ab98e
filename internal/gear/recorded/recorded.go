// Package recorded holds histories of guests' loads, and scales them up to a fleet.
//
// The format is one gear.Sample per line, as JSON, compressed with gzip: what 'myriad gears backtest'
// reads, too. Embedded are recordings of guests of fleets under test, which 'myriad gears record' wrote; told
// guests, whose numbers are made up, are added for what no test does: a day (see Origin).
package recorded

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"

	"github.com/myriad-fleet/myriad/internal/gear"
)

// Origin says where the embedded samples come from; print it beside what is computed from them.
const Origin = "minutes of real guests of fleets under test, recorded on 2026-11-28, and four told guests over a day (idle, office hours, batch jobs at night, a large one that grows)"

//go:embed samples.jsonl.gz
var embedded []byte

// Samples that come with myriad, in the order of time for each guest. It fails when the program was built
// with a file that is not in the format.
func Samples() ([]gear.Sample, error) {
	samples, err := Read(bytes.NewReader(embedded))
	if err != nil {
		return nil, fmt.Errorf("reading the embedded samples: %w", err)
	}
	return append(samples, Told()...), nil
}

// longestLine of a file of samples in bytes: a sample with every list full takes some 4 KiB.
const longestLine = 1 << 20

// Read samples, compressed with gzip or plain. An error names the line.
func Read(r io.Reader) ([]gear.Sample, error) {
	buffered := bufio.NewReader(r)
	var lines io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("line 1: %w; write the file with gzip, or plain", err)
		}
		lines = unzipped
	}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, longestLine)
	var samples []gear.Sample
	number := 1
	for ; scanner.Scan(); number++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var sample gear.Sample
		if err := json.Unmarshal(scanner.Bytes(), &sample); err != nil {
			return nil, fmt.Errorf("line %d: %w; each line is one sample, {\"guest\":…,\"availability\":…,\"load\":{\"sampledAt\":…}}", number, err)
		}
		if sample.Guest == "" || sample.Load.SampledAt.IsZero() {
			return nil, fmt.Errorf("line %d: a sample needs guest and load.sampledAt", number)
		}
		samples = append(samples, sample)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number, err)
	}
	return samples, nil
}

// Write samples in the format, compressed.
func Write(w io.Writer, samples []gear.Sample) error {
	zipped := gzip.NewWriter(w)
	encoder := json.NewEncoder(zipped)
	for _, sample := range samples {
		if err := encoder.Encode(sample); err != nil {
			return fmt.Errorf("writing a sample of %s: %w", sample.Guest, err)
		}
	}
	return zipped.Close()
}
