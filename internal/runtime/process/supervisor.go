package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Programs finds the executables that manifests name.
type Programs interface {
	// Path of a program in the distribution of that version.
	Path(program, version string) (string, error)
}

// Options of a supervisor.
type Options struct {
	// Dir holds all that the supervisor keeps; made when it is missing.
	Dir string
	// Network of which each guest gets a block of 16 addresses: IPv4, prefix length 8 to 27. Zero:
	// Reserve refuses.
	Network netip.Prefix
	// Zones that the host's capacity is divided over; empty: Capacity refuses.
	Zones []string
	// Programs of the distributions; nil when all programs are absolute paths.
	Programs Programs
	// SlotsDir is shared by the supervisors that share the host's cores.
	SlotsDir string
	// Slots is how many guests start from cold at once over all of them; 0: no limit.
	Slots int
	// Clock; nil for the real one.
	Clock clock.Clock
	// Log; nil for none.
	Log *slog.Logger
}

// timing holds the supervisor's durations and limits, which tests shorten.
type timing struct {
	probeStarting, probeRunning, probeFailing, probeTimeout time.Duration

	backoffFirst, backoffMost time.Duration
	healthy                   time.Duration // ready for so long: the next death is the first again
	grace                     time.Duration // between SIGTERM and SIGKILL, when the manifest names none
	roll                      time.Duration // longest wait for a restarted component before the next
	slot                      time.Duration // longest time that a guest keeps its start slot
	lock                      time.Duration // how long the lock of another supervisor is waited for
	strays                    time.Duration // pause before looking again whether strays are gone
	maintain                  time.Duration // between looks at the sizes of logs
	logBytes                  int64
}

var defaultTiming = timing{
	probeStarting: 75 * time.Millisecond, probeRunning: 2500 * time.Millisecond,
	probeFailing: 500 * time.Millisecond, probeTimeout: 2 * time.Second,
	backoffFirst: 250 * time.Millisecond, backoffMost: 30 * time.Second, healthy: 10 * time.Second,
	grace: 30 * time.Second, // as Kubernetes gives a pod
	roll:  2 * time.Minute, slot: time.Minute, strays: 50 * time.Millisecond, lock: 2 * time.Second,
	maintain: 30 * time.Second, logBytes: logBytes,
}

// Supervisor runs the guests of one directory.
type Supervisor struct {
	host
	options   Options
	addresses *addresses

	mu     sync.Mutex
	life   context.Context // of Run
	guests map[string]*guest
	drills []v1alpha1.Drill
	halted bool // by Client.Stop
	closed bool // no guest may be added any more
	warned bool // of inotify's limit
	work   sync.WaitGroup
}

// NewSupervisor checks the options. Nothing is touched before Run.
func NewSupervisor(o Options) (*Supervisor, error) {
	if o.Dir == "" {
		return nil, errors.New("process runtime: Options.Dir is empty: name the directory to keep guests in")
	}
	if n := o.Network; n.IsValid() && (!n.Addr().Is4() || n.Bits() < 8 || n.Bits() >= blockBits) {
		return nil, fmt.Errorf("process runtime: network %s: must be IPv4 with a prefix length of 8 to %d, for example 127.9.16.0/20", n, blockBits-1)
	}
	if o.Slots > 0 && o.SlotsDir == "" {
		return nil, errors.New("process runtime: Options.SlotsDir is empty: name the directory of the start slots, or set Slots to 0")
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Supervisor{
		host: host{
			programs: o.Programs, clock: o.Clock, log: o.Log, timing: defaultTiming,
			pacer: newPacer(o.SlotsDir, o.Slots, o.Clock, o.Log), changes: &changes{},
			write: writeAtomically, removeAll: os.RemoveAll,
		},
		options: o,
		guests:  map[string]*guest{},
	}, nil
}

// Run takes over what runs, starts what should, and serves clients until ctx is done. The guests'
// processes keep running then. It fails at once when another supervisor has the directory.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("process runtime: %w", err)
	}
	return nil
}

func (s *Supervisor) run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	lock, err := lock(ctx, s.dir, s.clock, s.timing.lock)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // unlocks
	ctx, end := context.WithCancel(ctx)
	defer s.close(end)
	s.life = ctx
	if err := s.load(); err != nil {
		return err
	}
	s.work.Go(func() { s.pacer.run(ctx) })
	s.warnInotify(inotifyLimitFile)
	return s.serve(ctx)
}

// close waits until nothing of this supervisor acts any more: only then may another take the lock.
func (s *Supervisor) close(end context.CancelFunc) {
	end()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.work.Wait()
}

// prepare makes the directory and its final name: markers must not depend on how it was reached.
func (s *Supervisor) prepare() error {
	if err := os.MkdirAll(filepath.Join(s.options.Dir, guestsDir), dirMode); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	dir, err := filepath.Abs(s.options.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return fmt.Errorf("finding the directory: %w", err)
	}
	s.dir = dir
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("reading the host's boot id (is /proc mounted?): %w", err)
	}
	s.boot = strings.TrimSpace(string(boot))
	return nil
}

// load reads everything from disk and takes over the processes that run.
func (s *Supervisor) load() error {
	book, err := openAddresses(s.dir, s.options.Network, s.write, s.log)
	if err != nil {
		return err
	}
	s.addresses, s.release = book, book.release
	if _, err := readJSON(filepath.Join(s.dir, drillsFile), &s.drills); err != nil {
		// A drill is for people to see; it must not keep guests down.
		s.log.Error("no drill is in force", "error", err)
		s.drills = nil
	}
	kept, deleting, err := storedGuests(s.dir)
	if err != nil {
		return err
	}
	running, err := findProcesses(s.dir + "/")
	if err != nil {
		return err
	}
	byID := map[string][]found{}
	for _, f := range running {
		id, _, _ := strings.Cut(strings.TrimPrefix(f.instance, s.dir+"/"), "/")
		byID[id] = append(byID[id], f)
	}
	s.loadGuests(kept, deleting, byID)
	for _, g := range s.all() {
		<-g.loaded
	}
	return nil
}

func (s *Supervisor) loadGuests(kept, deleting []string, running map[string][]found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range deleting { // before the kept ones: a process may have made its old directory anew
		s.launch(id, running[id], true)
	}
	for _, id := range kept {
		if s.guests[id] == nil {
			s.launch(id, running[id], false)
		}
	}
	for id, processes := range running {
		if s.guests[id] == nil {
			s.log.Warn("processes of a guest without a directory are left alone; delete the guest to end them",
				"guest", id, "processes", len(processes))
		}
	}
}

// launch adds a guest and its goroutine. The caller holds mu.
func (s *Supervisor) launch(id string, running []found, deleting bool) *guest {
	g := newGuest(&s.host, id, drillsByZone(s.drills))
	g.deleting, g.halted = deleting, s.halted
	if deleting {
		g.onDeleted = []chan error{make(chan error, 1)} // whoever asked for it has gone
	}
	s.guests[id] = g
	s.work.Go(func() {
		g.run(s.life, running)
		s.mu.Lock()
		defer s.mu.Unlock()
		if g.finished && s.guests[id] == g {
			delete(s.guests, id)
		}
	})
	return g
}

// find returns a guest; nil when there is none.
func (s *Supervisor) find(id string) *guest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guests[id]
}

// findOrAdd returns a guest, which has no manifest yet when it is new.
func (s *Supervisor) findOrAdd(id string) (*guest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errEnding
	}
	if g := s.guests[id]; g != nil && !g.isDeleted() {
		return g, nil
	}
	return s.launch(id, nil, false), nil
}

// all returns the guests in the order of their ids.
func (s *Supervisor) all() []*guest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*guest
	for _, g := range s.guests {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *guest) int { return strings.Compare(a.id, b.id) })
	return all
}
