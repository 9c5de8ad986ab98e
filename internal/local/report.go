package local

import (
	"fmt"
	"io"

	"k8s.io/utils/clock"
)

// Report tells a person what happens now, as a line.
type Report func(format string, arguments ...any)

// Lines reports to a writer, each line with the time since the first.
func Lines(out io.Writer, clock clock.PassiveClock) Report {
	start := clock.Now()
	return func(format string, arguments ...any) {
		_, _ = fmt.Fprintf(out, "[%6.1fs] %s\n", clock.Since(start).Seconds(), fmt.Sprintf(format, arguments...))
	}
}
