package etcd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// world is a group of three members as etcd and a runtime make it behave: what real members did is in
// evidence.go and docs/adr. What it checks are the rules that must hold after every event.
type world struct {
	now      time.Time
	zones    []string
	disks    map[string]*disk
	away     map[string]bool // by zone: dead or hung
	members  []Member
	alarms   []Alarm
	starts   map[string]controlplane.EtcdStart // in the runtime's manifest
	memory   Memory
	acked    int // entries that a writer was told are kept
	nextID   uint64
	store    bool
	broken   bool // the store
	refused  string
	replaced int
	problems []string
}

// disk is what a zone's volume holds, and how its process is.
type disk struct {
	member  uint64 // 0 for nothing
	entries int
	corrupt bool
	words   string // why the process died; empty while it runs
	bytes   int64
	inUse   int64
	live    int64 // what is left after a defragmentation, if less than inUse
}

const (
	sealedWords  = "exit status 1 after 0.1s: discovery failed: cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs"
	removedWords = "exit status 1 after 1.2s: listener failed: server is stopping"
	corruptWords = "exit status 1 after 0.1s: discovery failed: walpb: crc mismatch: expected: d72ec1a1 computed: 3c268bd"
	earlierWords = "exit status 2 after 0.3s: panic: tocommit(323) is out of range [lastIndex(0)]. Was the raft log corrupted, truncated, or lost?"
	quota        = 8 << 30
)

func newWorld(zones ...string) *world {
	w := &world{
		now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), zones: zones, disks: map[string]*disk{}, away: map[string]bool{},
		starts: map[string]controlplane.EtcdStart{}, nextID: 1, acked: 10, store: true,
	}
	for _, zone := range zones {
		w.members = append(w.members, Member{ID: w.nextID, Name: "etcd-" + zone, PeerURLs: []string{peerURL(zone)}})
		w.disks[zone] = &disk{member: w.nextID, entries: w.acked, bytes: 20 << 20, inUse: 18 << 20}
		w.starts[zone] = controlplane.EtcdSealed
		w.nextID++
	}
	return w
}

func peerURL(zone string) string { return "https://" + zone + ":2380" }

func (w *world) listed(zone string) *Member {
	for i := range w.members {
		if w.members[i].PeerURLs[0] == peerURL(zone) {
			return &w.members[i]
		}
	}
	return nil
}

// serves tells whether the zone's process runs as the member that is listed.
func (w *world) serves(zone string) bool {
	m, d := w.listed(zone), w.disks[zone]
	return m != nil && !w.away[zone] && d.member == m.ID && d.words == ""
}

func (w *world) voters() (all, serving []string) {
	for _, zone := range w.zones {
		if m := w.listed(zone); m != nil && !m.Learner {
			all = append(all, zone)
			if w.serves(zone) {
				serving = append(serving, zone)
			}
		}
	}
	return all, serving
}

func (w *world) quorum() bool {
	all, serving := w.voters()
	return len(serving) > len(all)/2
}

// leader is the first voter that serves and has every entry.
func (w *world) leader() string {
	_, serving := w.voters()
	if !w.quorum() {
		return ""
	}
	for _, zone := range serving {
		if w.disks[zone].entries >= w.acked {
			return zone
		}
	}
	w.problemf("no member of the quorum %v has the entry that was acknowledged", serving)
	return ""
}

func (w *world) problemf(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// run lets time pass: processes start, members catch up, the writer writes.
func (w *world) run(pass time.Duration) {
	w.now = w.now.Add(pass)
	for range 2 {
		for _, zone := range w.zones {
			if !w.away[zone] {
				w.start(zone)
			}
		}
	}
	if w.leader() == "" {
		return
	}
	w.acked++
	for _, zone := range w.zones {
		if w.serves(zone) {
			w.disks[zone].entries = w.acked
		}
	}
}

// start is what etcd does with its data, or without any.
func (w *world) start(zone string) {
	d, m := w.disks[zone], w.listed(zone)
	switch {
	case d.corrupt:
		d.words = corruptWords
	case d.member != 0 && m != nil && m.ID == d.member:
		d.words = ""
	case d.member != 0 && w.quorum():
		d.words = removedWords
	case d.member != 0:
		d.words = ""
	case w.starts[zone] != controlplane.EtcdJoin || !w.quorum() || m == nil:
		d.words = sealedWords
	case m.Name != "":
		d.words = earlierWords
	default:
		m.Name, d.member, d.entries, d.words = "etcd-"+zone, m.ID, w.acked, ""
		d.bytes, d.inUse = 18<<20, 18<<20
	}
}

func (w *world) facts() Facts {
	f := Facts{Now: w.now, Store: w.store, SnapshotsRefused: w.refused, Memory: w.memory, Listed: w.quorum()}
	leader := uint64(0)
	if zone := w.leader(); zone != "" {
		leader = w.listed(zone).ID
		f.Members, f.Alarms = slices.Clone(w.members), slices.Clone(w.alarms)
	}
	for _, name := range w.zones {
		d := w.disks[name]
		zone := Zone{Name: name, PeerURL: peerURL(name), Start: w.starts[name], Component: runtime.Component{Name: "etcd-" + name, State: runtime.Running, Ready: true}}
		switch {
		case w.away[name]:
			zone.Component.Ready = false // hung: it has not died
		case d.words != "":
			zone.Component = runtime.Component{Name: "etcd-" + name, State: runtime.BackOff, LastExit: d.words}
		case d.member != 0:
			zone.Status = &Status{ID: d.member, Leader: leader, Bytes: d.bytes, InUse: d.inUse, Quota: quota, Revision: int64(d.entries)}
		}
		f.Zones = append(f.Zones, zone)
	}
	return f
}

// look is one look of the keeper: it decides, has the runtime told how members start, and acts.
func (w *world) look() (Facts, Step) {
	f := w.facts()
	f.Memory = f.Seen()
	w.memory = f.Memory
	w.starts = Starts(f)
	step := Next(f)
	w.memory = w.memory.Done(step, w.now, w.act(step))
	return f, step
}

// act does a step, and checks that it may be done.
func (w *world) act(step Step) error {
	m := w.listed(step.Zone)
	switch step.Kind {
	case Snapshot:
		if w.broken {
			return fmt.Errorf("put: connection refused")
		}
		if !w.serves(step.Zone) {
			w.problemf("a snapshot is taken from zone %s, which does not serve", step.Zone)
		}
	case Remove:
		w.checkRemove(step, m)
		w.members = slices.DeleteFunc(w.members, func(m Member) bool { return m.ID == step.Member })
		w.replaced++
	case AddLearner:
		w.members = append(w.members, Member{ID: w.nextID, PeerURLs: []string{peerURL(step.Zone)}, Learner: true})
		w.nextID++
	case Discard:
		if m == nil || m.Name != "" || w.disks[step.Zone].member == m.ID {
			w.problemf("zone %s is discarded, and its data is that of a member", step.Zone)
		}
		*w.disks[step.Zone] = disk{}
	case Promote:
		m.Learner = false
	case Defragment:
		if len(w.facts().Alarms) == 0 && !w.allServe() {
			w.problemf("zone %s is defragmented while another is away", step.Zone)
		}
		d := w.disks[step.Zone]
		if d.live > 0 {
			d.inUse, d.live = d.live, 0
		}
		d.bytes = d.inUse
	case MoveLeader:
		// the list begins with the zone that leads
		to := slices.IndexFunc(w.zones, func(zone string) bool { m := w.listed(zone); return m != nil && m.ID == step.Member })
		w.zones = append([]string{w.zones[to]}, slices.Delete(slices.Clone(w.zones), to, to+1)...)
	case Disarm:
		w.alarms = slices.DeleteFunc(w.alarms, func(a Alarm) bool {
			return a.Kind == step.Alarm && (step.Member == 0 || a.Member == step.Member)
		})
	case Compact:
		for zone, d := range w.disks {
			if d.live = min(d.inUse, 5<<30); zone == "b" {
				d.inUse = d.live // the others do not know it yet
			}
		}
	default:
	}
	w.check()
	return nil
}

func (w *world) allServe() bool {
	_, serving := w.voters()
	return len(serving) == len(w.zones)
}

// checkRemove: only a member whose data is gone is removed, and no other is missing then.
func (w *world) checkRemove(step Step, m *Member) {
	if m == nil {
		w.problemf("a member of zone %s is removed, and there is none", step.Zone)
		return
	}
	d := w.disks[step.Zone]
	intact := d.member == m.ID && !d.corrupt && d.entries > 0
	if intact && !slices.Contains(w.alarms, Alarm{Member: m.ID, Kind: Corrupt}) {
		w.problemf("the member of zone %s is removed, and its data is whole", step.Zone)
	}
	if all, serving := w.voters(); !m.Learner && len(serving) < len(all)-1 {
		w.problemf("the member of zone %s is removed while only %v serve", step.Zone, serving)
	}
}

// check what must hold at all times.
func (w *world) check() {
	all, _ := w.voters()
	if len(all) < len(w.zones)-1 {
		w.problemf("only %v have a vote", all)
	}
	if len(w.members) < len(w.zones)-1 || len(w.members) > len(w.zones) {
		w.problemf("there are %d members", len(w.members))
	}
}

// settled tells whether all zones have a member with a vote that serves.
func (w *world) settled() bool { return w.allServe() && len(w.members) == len(w.zones) }

// String is the world in one line of a transcript.
func (w *world) String() string {
	var list []string
	for _, zone := range slices.Sorted(slices.Values(w.zones)) {
		m, how := w.listed(zone), "-"
		switch {
		case m == nil:
		case m.Learner && m.Name == "":
			how = "place"
		case m.Learner:
			how = "learner"
		default:
			how = "voter"
		}
		if !w.serves(zone) {
			how += "!"
		}
		start := w.starts[zone]
		if start == controlplane.EtcdJoin {
			how += "+join"
		}
		list = append(list, zone+"="+how)
	}
	return strings.Join(list, " ")
}

// forget is what a new agent knows of before.
func (w *world) forget() {
	w.memory = Memory{}
	for zone := range maps.Keys(w.starts) {
		w.starts[zone] = controlplane.EtcdSealed
	}
}
