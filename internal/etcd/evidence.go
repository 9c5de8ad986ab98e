package etcd

import "strings"

// proofs are last words of etcd v3.6 that prove that its data is lost: each was had from a real member
// whose files were removed, cut short or overwritten. Words that a full disk, a wrong permission or an
// absent network can cause are not among them: such data is still there.
//
// One kind of damage leaves no words: where the length of a record is overwritten, etcd takes it for a
// write that a crash cut short, cuts its log there (wal.Repair) and starts. A leader that knows what the
// member had acknowledged makes it panic ("Was the raft log corrupted"); one that was elected meanwhile
// sends it what is missing, and nobody hears of it.
var proofs = []string{
	// There is no log at all. A sealed member says so, and one that is to join and cannot yet.
	"cannot fetch cluster info from peer urls",
	// It acknowledged entries that its log no longer has: the log or the volume is of an earlier time.
	"Was the raft log corrupted, truncated, or lost?",
	// The log is there and empty.
	"cannot use none as id",
	// The log does not match its checksums.
	"walpb: crc mismatch",
	"wal: crc mismatch",
	// What the log holds are no records.
	"discovery failed: proto: ",
	// The database is gone, and the log begins after it.
	"failed to find database snapshot file",
	// The database is no bbolt file any more.
	"failed to open database: invalid database",
	// Pages of the database are not what they should be.
	"assertion failed: Page expected to be",
	"freepages: failed to get all reachable pages",
}

// LostData tells whether a member's last words prove that its data is lost.
func LostData(words string) bool {
	for _, proof := range proofs {
		if strings.Contains(words, proof) {
			return true
		}
	}
	return false
}
