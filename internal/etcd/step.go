package etcd

import (
	"maps"
	"time"
)

// Kind of a step.
type Kind string

// The steps. Each is done for one member; no two members of a guest are worked on at once.
const (
	Nothing    Kind = ""           // all is as it should be
	Wait       Kind = "Wait"       // something is to be done and cannot be now; Reason says why
	Snapshot   Kind = "Snapshot"   // store a copy of the database, as Zone's member has it
	Remove     Kind = "Remove"     // take Member out of the group
	AddLearner Kind = "AddLearner" // make a place without a vote for Zone's member
	Discard    Kind = "Discard"    // throw away Zone's data and start its member anew
	Promote    Kind = "Promote"    // give Member its vote, if it has caught up
	MoveLeader Kind = "MoveLeader" // from Zone's member to Member
	Defragment Kind = "Defragment" // give back what Zone's database does not use; it stalls meanwhile
	Compact    Kind = "Compact"    // cut the history before Revision
	Disarm     Kind = "Disarm"     // take back Alarm of Member, or of every member when that is 0
)

// Step is what is to be done next, and why.
type Step struct {
	Kind     Kind
	Zone     string
	Member   uint64
	Alarm    AlarmKind
	Revision int64
	Reason   string
}

const (
	// lostGrace is for how long the proof of a loss must stand before it is acted upon: long enough
	// for a disk that is mounted late.
	lostGrace = 10 * time.Second
	// awayGrace is for how long a member may give no answer before that is reported: a restart is no
	// news.
	awayGrace = 20 * time.Second
	// discardPause is between two tries to start a new member without data.
	discardPause = 30 * time.Second
	// snapshotFresh is for how long a snapshot counts as taken before a step.
	snapshotFresh = 10 * time.Minute
	// snapshotPause is between two tries.
	snapshotPause = 30 * time.Second
)

// Done returns the memory as it is after a step.
func (m Memory) Done(step Step, at time.Time, err error) Memory {
	switch step.Kind {
	case Snapshot:
		if err != nil {
			m.SnapshotFailed, m.SnapshotError = at, err.Error()
		} else {
			m.Snapshot, m.SnapshotError = at, ""
		}
	case Discard:
		m.Discarded = noted(m.Discarded, step.Zone, at)
		m.LostSince = maps.Clone(m.LostSince)
		delete(m.LostSince, step.Zone) // what is there from now on begins anew
	case Defragment:
		m.Defragmented = noted(m.Defragmented, step.Zone, at)
	case Compact:
		m.Compacted = at
		if err == nil {
			m.CompactedTo = step.Revision
		}
	case Disarm:
		if step.Alarm == NoSpace {
			m.Disarmed = at
		}
	default:
	}
	return m
}

func noted(times map[string]time.Time, zone string, at time.Time) map[string]time.Time {
	next := map[string]time.Time{zone: at}
	for other, was := range times {
		if other != zone {
			next[other] = was
		}
	}
	return next
}
