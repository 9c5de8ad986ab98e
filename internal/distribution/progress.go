package distribution

import (
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// How often progress is shown: a line to a file or pipe, or the same line again on a terminal.
const (
	lineInterval   = 10 * time.Second
	redrawInterval = time.Second
)

// clearLine moves a terminal's cursor to the start of its line and empties the line.
const clearLine = "\r\033[K"

// Console is where the progress of long work is shown.
type Console struct {
	Writer   io.Writer
	Terminal bool // whether a line can be drawn over
	Clock    clock.WithTickerAndDelayedExecution
}

// sayf writes one whole line.
func (c Console) sayf(format string, arguments ...any) {
	fmt.Fprintf(c.Writer, format+"\n", arguments...)
}

// activity is one piece of long work, shown with the time that it has taken.
type activity struct {
	console Console
	name    string
	start   time.Time

	mu     sync.Mutex
	status string
}

// begin starts to show an activity until the returned function, which may be called again, ends it.
func (c Console) begin(name string) (*activity, func()) {
	a := &activity{console: c, name: name, start: c.Clock.Now(), status: "working"}
	interval := lineInterval
	if c.Terminal {
		interval = redrawInterval
	}
	ticker := c.Clock.NewTicker(interval)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C():
				a.show()
			}
		}
	}()
	return a, sync.OnceFunc(func() {
		close(stop)
		<-stopped
		if c.Terminal {
			fmt.Fprint(c.Writer, clearLine)
		}
	})
}

// setf changes what is shown from the next tick on.
func (a *activity) setf(format string, arguments ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = fmt.Sprintf(format, arguments...)
}

// elapsed is how long the activity has taken, in whole seconds.
func (a *activity) elapsed() time.Duration {
	return a.console.Clock.Since(a.start).Round(time.Second)
}

// show draws the current state once.
func (a *activity) show() {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := fmt.Sprintf("%s: %s, %s elapsed", a.name, a.status, a.elapsed())
	if a.console.Terminal {
		fmt.Fprint(a.console.Writer, clearLine+line)
		return
	}
	a.console.sayf("%s", line)
}
