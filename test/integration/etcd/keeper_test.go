package etcd_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

var zones = []string{"a", "b", "c"}

// TestReplaced destroys a member's data in several ways under a client that writes: each time the member
// is replaced, and no acknowledged write is lost.
func TestReplaced(t *testing.T) {
	f := newFixture(t, v1alpha1.Zonal, nil)
	f.keep()
	f.awaitHealth(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy)
	w := f.write(zones...)
	client := f.connect(zones...)
	f.eventually("a hundred writes were acknowledged", func() error {
		if n := w.count(); n < 100 {
			return fmt.Errorf("only %d were", n)
		}
		return nil
	})
	early := w.keys() // they are older than the snapshot before the first replacement
	for _, loss := range []struct {
		zone, what string
		destroy    func(data string) error
	}{
		{"b", "the directory is gone", os.RemoveAll},
		{"c", "the log is damaged", damageLog},
		{"a", "the database is damaged", func(data string) error { return overwrite(filepath.Join(data, "member", "snap", "db"), 0) }},
	} {
		before, wrote := membersOf(t, client), w.count()
		f.hold(v1alpha1.Drill{Zone: loss.zone, Mode: v1alpha1.DrillKill})
		f.eventually("etcd-"+loss.zone+" is down", func() error {
			if c := f.member(loss.zone); c.PID != 0 {
				return fmt.Errorf("it is %+v", c)
			}
			return nil
		})
		if err := loss.destroy(f.data(loss.zone)); err != nil {
			t.Fatal(err)
		}
		destroyed := time.Now()
		f.hold()
		f.eventually("the member is replaced after "+loss.what, func() error {
			now := membersOf(t, client)
			if len(now) != 3 || now["etcd-"+loss.zone] == before["etcd-"+loss.zone] {
				return fmt.Errorf("members %x became %x", before, now)
			}
			return nil
		})
		f.awaitHealth(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy)
		f.awaitReady()
		t.Logf("%s in zone %s: replaced within %s; %d writes meanwhile", loss.what, loss.zone, time.Since(destroyed).Round(time.Second), w.count()-wrote)
	}
	w.check(f, zones...)
	f.checkSnapshot(early)
}

// damageLog overwrites the beginning of the member's last log, from the middle of a record's content on: where the
// length of a record is hit, etcd cuts its log there and starts.
func damageLog(data string) error {
	files, err := filepath.Glob(filepath.Join(data, "member", "wal", "*.wal"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no log in %s: %w", data, err)
	}
	last := slices.Max(files) // they are named by their number
	content, err := os.ReadFile(last)
	if err != nil {
		return err
	}
	at := bytes.Index(content, []byte("/write/"))
	if at < 0 {
		return fmt.Errorf("no write in %s", last)
	}
	return overwrite(last, int64(at))
}

// overwrite 16 KiB of a file.
func overwrite(path string, at int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, 16<<10), at)
	return errors.Join(err, file.Close())
}

// checkSnapshot opens the last snapshot with the recovery key: it is a database that has these keys, and
// its checksum; its name says a revision.
func (f *fixture) checkSnapshot(keys []string) {
	f.t.Helper()
	last := f.keeper.Report(testID).Status.LastSnapshot
	if last == nil || !strings.HasSuffix(last.Name, ".db.age") || strings.HasSuffix(last.Name, "-0.db.age") {
		f.t.Fatalf("the last snapshot is %+v", last)
	}
	key, err := age.ParseX25519Identity(f.recovery)
	if err != nil {
		f.t.Fatal(err)
	}
	sealed, err := os.Open(filepath.Join(f.store, last.Name))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = sealed.Close() }()
	opened, err := age.Decrypt(sealed, key)
	if err != nil {
		f.t.Fatal(err)
	}
	content, err := io.ReadAll(opened)
	if err != nil || len(content) < sha256.Size {
		f.t.Fatal(len(content), err)
	}
	split := len(content) - sha256.Size
	if sum := sha256.Sum256(content[:split]); !bytes.Equal(sum[:], content[split:]) {
		f.t.Errorf("the snapshot ends with the checksum %x; that of its %d bytes is %x", content[split:], split, sum)
	}
	for _, key := range keys {
		if !bytes.Contains(content, []byte(key)) {
			f.t.Errorf("%s is not in the snapshot, and was acknowledged before it", key)
		}
	}
}

// TestAwayIsNotReplaced: a member that hangs is waited for.
func TestAwayIsNotReplaced(t *testing.T) {
	f := newFixture(t, v1alpha1.Zonal, nil)
	f.keep()
	f.awaitHealth(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy)
	client := f.connect("a", "b")
	before := membersOf(t, client)
	f.hold(v1alpha1.Drill{Zone: "c", Mode: v1alpha1.DrillHang})
	f.awaitHealth(metav1.ConditionFalse, v1alpha1.ReasonMemberMissing)
	f.hold()
	f.awaitHealth(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy)
	if after := membersOf(t, client); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("members %x became %x", before, after)
	}
}

// TestSingleStaysDown: a member alone that lost its data does not serve an empty cluster.
func TestSingleStaysDown(t *testing.T) {
	f := newFixture(t, v1alpha1.Single, nil)
	f.keep()
	f.awaitHealth(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy)
	if err := f.keeper.Snapshot(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	f.hold(v1alpha1.Drill{Zone: "a", Mode: v1alpha1.DrillKill}) // it must not start while its data goes
	f.eventually("the member is down", func() error {
		if pid := f.member("a").PID; pid != 0 {
			return fmt.Errorf("process %d runs", pid)
		}
		return nil
	})
	if err := os.RemoveAll(f.data("a")); err != nil {
		t.Fatal(err)
	}
	f.hold()
	message := f.awaitHealth(metav1.ConditionFalse, v1alpha1.ReasonDataLost)
	if !strings.Contains(message, "restore a snapshot") || f.member("a").Ready {
		t.Errorf("the member is %+v, and the message %q", f.member("a"), message)
	}
}

// fastClock runs sixty times as fast as the real one.
type fastClock struct {
	clock.RealClock
	start, from time.Time
}

const speed = 60

func (c *fastClock) Now() time.Time                  { return c.from.Add(time.Since(c.start) * speed) }
func (c *fastClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c *fastClock) After(d time.Duration) <-chan time.Time {
	return c.RealClock.After(d / speed)
}

func (c *fastClock) NewTimer(d time.Duration) clock.Timer {
	return &fastTimer{c.RealClock.NewTimer(d / speed)}
}

func (c *fastClock) NewTicker(d time.Duration) clock.Ticker {
	return c.RealClock.NewTicker(d / speed)
}

type fastTimer struct{ clock.Timer }

func (t *fastTimer) Reset(d time.Duration) bool { return t.Timer.Reset(d / speed) }

// TestNoSpace fills a database with history until etcd refuses writes: the keeper makes room.
func TestNoSpace(t *testing.T) {
	f := newFixture(t, v1alpha1.Zonal, func(c *controlplane.Component) {
		for i, arg := range c.Args {
			if strings.HasPrefix(arg, "--quota-backend-bytes=") {
				c.Args[i] = fmt.Sprintf("--quota-backend-bytes=%d", 16<<20)
			}
		}
	})
	// Certificates that the keeper makes must not be of the future.
	f.clock = &fastClock{start: time.Now(), from: time.Now().Add(-59 * time.Minute)}
	f.keep()
	client := f.connect(zones...)
	value := make([]byte, 16<<10) // small ones leave no room that defragmenting alone would give back
	if _, err := rand.Read(value); err != nil {
		t.Fatal(err)
	}
	var last error
	refused := false
	for n := 0; n < 4000 && !refused; n++ {
		// A write may fail for another reason, such as a leader that changes on a busy machine.
		if _, err := client.Put(t.Context(), fmt.Sprintf("/big/%d", n%4), string(value)); err != nil {
			refused, last = strings.Contains(err.Error(), "space exceeded"), err
		}
	}
	if !refused {
		t.Fatalf("the quota refused nothing; the last error: %v", last)
	}
	// This is what kube-apiserver's own compaction does first.
	_, err := client.Txn(t.Context()).Then(clientv3.OpPut("compact_rev_key", "1")).Commit()
	if err == nil {
		t.Error("kube-apiserver's compaction is not refused: the keeper's own is not needed any more")
	}
	f.eventually("writes are let in again", func() error {
		_, err := client.Put(t.Context(), "/small", "x")
		return err
	})
	f.awaitHealth(metav1.ConditionTrue, v1alpha1.ReasonEtcdHealthy)
	for _, step := range []string{"Compact", "Snapshot", "Defragment", "Disarm"} {
		if !f.did(step) {
			t.Errorf("the keeper did not %s", step)
		}
	}
}

// TestDefragmented: what many deleted objects have left is given back, on one member after the other,
// while a client writes.
func TestDefragmented(t *testing.T) {
	f := newFixture(t, v1alpha1.Zonal, nil)
	client := f.connect(zones...)
	value := make([]byte, 1<<20)
	for n := range 130 {
		f.eventually("a large value is written", func() error {
			_, err := client.Put(t.Context(), fmt.Sprintf("/big/%d", n), string(value))
			return err
		})
	}
	deleted, err := client.Delete(t.Context(), "/big/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	w := f.write(zones...)
	f.keep()
	f.eventually("all databases are small", func() error {
		report := f.keeper.Report(testID)
		if report.Status == nil {
			return fmt.Errorf("nothing was reported yet")
		}
		for _, endpoint := range client.Endpoints() {
			status, err := client.Status(t.Context(), endpoint)
			if err != nil || status.DbSize > 50<<20 {
				return fmt.Errorf("%s: %+v, %w", endpoint, status, err)
			}
		}
		return nil
	})
	if !f.did("MoveLeader") {
		t.Error("the leader was defragmented")
	}
	w.check(f, zones...)
}
