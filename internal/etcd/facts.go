// Package etcd decides what a guest's etcd needs next: a member that lost its data is replaced, room
// is made when the database is full, and fragments are given back when that pays. It only decides;
// every decision follows from what is seen, so that a crash between any two steps is repaired by
// looking again.
package etcd

import (
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Facts is all that is known of a guest's etcd at one look.
type Facts struct {
	// Now is when it was looked at.
	Now time.Time
	// Zones that have a member by the guest's order, in its order.
	Zones []Zone
	// Listed says that a quorum agreed on Members; nothing is changed without.
	Listed bool
	// Members as etcd lists them.
	Members []Member
	// Alarms that are raised.
	Alarms []Alarm
	// Irreplaceable says why no member may be replaced; empty when they may be.
	Irreplaceable string
	// Store says that there is a store of snapshots.
	Store bool
	// SnapshotsRefused says why none of the guest may be stored there; empty: they may.
	SnapshotsRefused string
	// Memory of what was seen and done before.
	Memory Memory
}

// Zone is where one member lives.
type Zone struct {
	Name string
	// PeerURL by which etcd's list names the zone's member.
	PeerURL string
	// Start is what the runtime was told last that the member does without data.
	Start controlplane.EtcdStart
	// Component is how the runtime says the member is.
	Component runtime.Component
	// Status is the member's own answer; nil when it gave none.
	Status *Status
}

// Status is what a member says of itself.
type Status struct {
	// ID of the member, and of the leader that it follows; Leader is 0 when it knows none.
	ID, Leader uint64
	// Bytes of the database, and how many of them are in use.
	Bytes, InUse int64
	// Quota in bytes above which writes are refused.
	Quota int64
	// Revision of the data.
	Revision int64
}

// Member is one entry of etcd's own list.
type Member struct {
	ID uint64
	// Name is empty until the member has started for the first time.
	Name     string
	PeerURLs []string
	// Learner has no vote.
	Learner bool
}

// AlarmKind is what an alarm says.
type AlarmKind string

// The alarms of etcd.
const (
	NoSpace AlarmKind = "NOSPACE" // the database reached its quota: writes are refused
	Corrupt AlarmKind = "CORRUPT" // a member's data differs from the others': reads are refused, too
)

// Alarm is raised for one member, and stays until it is disarmed.
type Alarm struct {
	// Member by id; 0 when etcd cannot tell which one it is.
	Member uint64
	Kind   AlarmKind
}

// Memory is what was seen and done before. Losing it costs time and nothing else.
type Memory struct {
	// LostSince is, by zone, since when its component has been dying for want of its data.
	LostSince map[string]time.Time
	// AwaySince is, by zone, since when its member has not answered.
	AwaySince map[string]time.Time
	// Discarded is, by zone, when its data was thrown away last.
	Discarded map[string]time.Time
	// Defragmented is, by zone, when that was tried last.
	Defragmented map[string]time.Time
	// Compacted is when the history was cut last, Disarmed when a NOSPACE alarm was.
	Compacted, Disarmed time.Time
	// CompactedTo is the revision before which it was cut.
	CompactedTo int64
	// Snapshot is when one was stored last, SnapshotFailed when that failed last, with SnapshotError.
	Snapshot, SnapshotFailed time.Time
	SnapshotError            string
	// Revisions seen before, oldest first, to know which history is old enough to be cut.
	Revisions []Mark
}

// Mark is a revision and when it was seen.
type Mark struct {
	At       time.Time
	Revision int64
}

// Seen returns the memory as it is after a look.
func (f Facts) Seen() Memory {
	m := f.Memory
	lost, away := map[string]time.Time{}, map[string]time.Time{}
	for _, zone := range f.Zones {
		c := zone.Component
		switch {
		case zone.Status != nil || c.Ready:
		case c.State == runtime.BackOff && LostData(c.LastExit):
			lost[zone.Name] = since(m.LostSince, zone.Name, f.Now)
		case c.State != runtime.BackOff && known(m.LostSince, zone.Name):
			lost[zone.Name] = m.LostSince[zone.Name] // it is being started once more
		}
		if zone.Status == nil {
			away[zone.Name] = since(m.AwaySince, zone.Name, f.Now)
		}
	}
	m.LostSince, m.AwaySince = lost, away
	m.Revisions = f.marks()
	return m
}

// marks keeps no more revisions than are needed to know one that is old enough.
func (f Facts) marks() []Mark {
	marks := slices.Clone(f.Memory.Revisions)
	var newest int64
	for _, zone := range f.Zones {
		if zone.Status != nil {
			newest = max(newest, zone.Status.Revision)
		}
	}
	if n := len(marks); newest > 0 && (n == 0 || f.Now.Sub(marks[n-1].At) >= historyKept/historyMarks) {
		marks = append(marks, Mark{At: f.Now, Revision: newest})
	}
	for len(marks) > 1 && f.Now.Sub(marks[1].At) >= historyKept {
		marks = marks[1:]
	}
	return marks
}

func since(times map[string]time.Time, zone string, now time.Time) time.Time {
	if at, ok := times[zone]; ok {
		return at
	}
	return now
}

func known(times map[string]time.Time, zone string) bool {
	_, ok := times[zone]
	return ok
}
