package local

import (
	"fmt"
	"io"
	"time"
)

// Report tells a person what happens now, as a line.
type Report func(format string, arguments ...any)

// Lines reports to a writer, each line with the time since the first.
func Lines(out io.Writer) Report {
	start := time.Now()
	return func(format string, arguments ...any) {
		_, _ = fmt.Fprintf(out, "[%6.1fs] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, arguments...))
	}
}
