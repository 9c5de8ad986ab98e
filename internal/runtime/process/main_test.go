package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// The test binary is also every program that the tests run: its first argument says which.
func TestMain(m *testing.M) {
	programs := map[string]func(args []string) int{
		"serve": func(args []string) int { return serve(args[0], true) },
		// Ignores SIGTERM.
		"stubborn": func(args []string) int { return serve(args[0], false) },
		"fail": func(args []string) int {
			fmt.Fprintln(os.Stderr, args[0])
			return 3
		},
		// Says something and leaves a child behind in its session.
		"litter":    litter,
		"supervise": supervise,
	}
	if len(os.Args) > 1 && programs[os.Args[1]] != nil {
		os.Exit(programs[os.Args[1]](os.Args[2:]))
	}
	os.Exit(m.Run())
}

// serve answers HTTPS at address with 200 for all paths.
func serve(address string, obedient bool) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		return 1
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err := server.Listener.Close(); err != nil {
		return 1
	}
	server.Listener = listener
	server.StartTLS()
	for range terminated {
		if obedient {
			return 0
		}
	}
	return 0
}

func litter(args []string) int {
	child := exec.Command(os.Args[0], "stubborn", args[0])
	if err := child.Start(); err != nil {
		return 1
	}
	fmt.Println("error: left a child behind")
	return 4
}

// supervise runs a supervisor with the tests' timing in a directory until SIGTERM.
func supervise(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := NewSupervisor(Options{Dir: args[0]})
	if err == nil {
		s.timing = testTiming()
		err = s.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func testTiming() timing {
	t := defaultTiming
	t.probeStarting, t.probeRunning, t.probeFailing = 5*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond
	t.backoffFirst, t.backoffMost = 10*time.Millisecond, 80*time.Millisecond
	t.strays, t.maintain = 10*time.Millisecond, 20*time.Millisecond
	return t
}

// bench is one directory with a supervisor in this process, and a client.
type bench struct {
	*Client
	t    *testing.T
	dir  string
	stop func() // ends the supervisor and leaves its children
}

// newBench runs a supervisor until the test ends, and then makes sure that no process is left.
func newBench(t *testing.T, adjust ...func(*Supervisor)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	b.Client = NewClient(b.dir)
	t.Cleanup(func() { killBelow(t, b.dir) })
	b.restart(adjust...)
	return b
}

// restart runs a new supervisor in place of the last one.
func (b *bench) restart(adjust ...func(*Supervisor)) {
	b.t.Helper()
	if b.stop != nil {
		b.stop()
	}
	s, err := NewSupervisor(Options{Dir: b.dir, Zones: []string{"a", "b"}})
	if err != nil {
		b.t.Fatal(err)
	}
	s.timing = testTiming()
	for _, f := range adjust {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	once := false
	b.stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run(): %v", err)
		}
	}
	b.t.Cleanup(b.stop)
	b.waitServing()
}

func (b *bench) waitServing() {
	b.t.Helper()
	eventually(b.t, "the supervisor answers", func() bool {
		_, err := b.List(b.t.Context())
		return err == nil
	})
}

// killBelow ends every process that a supervisor of dir ever started.
func killBelow(t *testing.T, dir string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		left, err := findProcesses(dir + "/")
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		killAll(left)
	}
	t.Errorf("processes of %s do not end", dir)
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 2*time.Millisecond, 15*time.Second, true,
		func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("never came true: %s", what)
	}
}

// ports given by freePort.
var ports atomic.Int32

// freePort returns a loopback address with a port that nobody listens on: each test process has an address of its own,
// below those of fleets, and gives each port once. Connections come from 127.0.0.1, so that none takes the port of what
// is down for a moment.
func freePort() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:%d", 32+pid>>16&31, pid>>8&255, pid&255, 10_000+ports.Add(1))
}

// server is a component that is ready soon.
func server(t *testing.T, name, zone string, after ...string) controlplane.Component {
	t.Helper()
	return program(t, "serve", name, zone, after...)
}

func program(t *testing.T, program, name, zone string, after ...string) controlplane.Component {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	address := freePort()
	return controlplane.Component{
		Name: name, Zone: zone, Program: self, Args: []string{program, address}, After: after, StopSeconds: 5,
		Probe: &controlplane.Probe{Address: address, Path: "/readyz"},
	}
}

func (b *bench) apply(m controlplane.Manifest) {
	b.t.Helper()
	if err := b.Apply(b.t.Context(), m); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) observe(id string) runtime.Observation {
	b.t.Helper()
	o, err := b.Observe(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func (b *bench) component(id, name string) runtime.Component {
	b.t.Helper()
	c, _ := b.observe(id).Component(name)
	return c
}

// ready waits until all components of a guest are, and returns their process ids in order.
func (b *bench) ready(id string) []int {
	b.t.Helper()
	var pids []int
	eventually(b.t, "guest "+id+" is ready", func() bool {
		components := b.observe(id).Components
		pids = nil
		for _, c := range components {
			pids = append(pids, c.PID)
		}
		return len(components) > 0 && !slices.ContainsFunc(components, func(c runtime.Component) bool { return !c.Ready })
	})
	return pids
}

func (b *bench) hold(drills ...v1alpha1.Drill) {
	b.t.Helper()
	if err := b.Hold(b.t.Context(), drills); err != nil {
		b.t.Fatal(err)
	}
}

// processes lists what runs below the directory, guest and component first.
func (b *bench) processes() []string {
	b.t.Helper()
	all, err := findProcesses(b.dir + "/")
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, f := range all {
		names = append(names, f.instance[len(b.dir)+1:])
	}
	return names
}

func (b *bench) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir, guestsDir}, parts...)...)
}
