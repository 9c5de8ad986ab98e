package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/internal/pki"
)

const testID = "abcdefghij"

func open(t *testing.T) (*Store, string, *clocktesting.FakeClock) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snapshots")
	clk := clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	store, err := Open("file://"+dir, clk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, dir, clk
}

// database is what etcd streams: pages and their checksum.
func database(pages int) []byte {
	content := bytes.Repeat([]byte("etcd"), pages*pageBytes/4)
	sum := sha256.Sum256(content)
	return append(content, sum[:]...)
}

// files under dir, by path.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[name] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSaveSealed(t *testing.T) {
	secret, recipient, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	store, dir, _ := open(t)
	content := database(4000)
	object, err := store.Save(t.Context(), Source{ID: testID, Revision: 42, Recipient: recipient}, iotest.OneByteReader(bytes.NewReader(content)))
	if err != nil {
		t.Fatal(err)
	}
	sealed := files(t, dir)[testID+"/20261122T120000Z-42.db.age"]
	want := Object{Name: testID + "/20261122T120000Z-42.db.age", Time: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Bytes: int64(len(sealed))}
	if diff := cmp.Diff(want, object); diff != "" || len(sealed) < len(content) {
		t.Error(diff, len(sealed))
	}
	if bytes.Contains(sealed, []byte("etcdetcd")) {
		t.Error("the object can be read")
	}
	key, err := age.ParseX25519Identity(secret)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := age.Decrypt(bytes.NewReader(sealed), key)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(opened); err != nil || !bytes.Equal(plain, content) {
		t.Errorf("what comes back differs (%v)", err)
	}
	if latest, ok, err := store.Latest(t.Context(), testID); err != nil || !ok || latest != object {
		t.Errorf("Latest: %+v, %t, %v", latest, ok, err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v); want 0700", info.Mode(), err)
	}
}

// TestNothingHalf: what breaks on its way leaves nothing behind that looks whole.
func TestNothingHalf(t *testing.T) {
	flipped := database(1000)
	flipped[1000] ^= 1
	for name, test := range map[string]struct {
		reason, want string
		stream       io.Reader
		recipient    string
	}{
		"flipped":   {"a bit changed on the way", "does not match the checksum", bytes.NewReader(flipped), ""},
		"short":     {"the stream ended early, without an error", "without a checksum", bytes.NewReader(database(1000)[:300*pageBytes]), ""},
		"empty":     {"nothing came", "without a checksum", strings.NewReader(""), ""},
		"broken":    {"the member died", "connection reset", io.MultiReader(bytes.NewReader(database(1000)[:5000]), iotest.ErrReader(errors.New("connection reset"))), ""},
		"recipient": {"the order names no key", "recovery key", bytes.NewReader(database(10)), "age1nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			store, dir, _ := open(t)
			_, err := store.Save(t.Context(), Source{ID: testID, Revision: 1, Recipient: test.recipient}, test.stream)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got error %v; want one with %q", test.reason, err, test.want)
			}
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("%s: %v is left", test.reason, left)
			}
		})
	}
}

func TestKeepsTheLast(t *testing.T) {
	store, dir, clk := open(t)
	other := filepath.Join(dir, "otherguest", "20200101T000000Z-1.db")
	half := filepath.Join(dir, testID, "half.tmp123")
	for _, file := range []string{other, half} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clk.SetTime(time.Now())
	for n := range kept + 3 {
		clk.Step(time.Hour)
		if _, err := store.Save(t.Context(), Source{ID: testID, Revision: int64(n)}, bytes.NewReader(database(3))); err != nil {
			t.Fatal(err)
		}
	}
	left := files(t, dir)
	if len(left) != kept+1 {
		t.Errorf("%d files are left; want %d and the other guest's", len(left), kept)
	}
	if _, swept := left[testID+"/half.tmp123"]; swept {
		t.Error("what a crash left is still there")
	}
	if err := store.Remove(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	if err := store.Remove(t.Context(), testID); err != nil {
		t.Fatal("removed again:", err)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("after Remove: %d files; want the other guest's", len(left))
	}
	if _, ok, err := store.Latest(t.Context(), testID); ok || err != nil {
		t.Errorf("Latest of nothing: %t, %v", ok, err)
	}
}

func TestOpenSaysWhatToGive(t *testing.T) {
	for _, location := range []string{"ftp://x", "/var/lib", "file://\x00"} {
		if _, err := Open(location, clocktesting.NewFakeClock(time.Now())); err == nil || !strings.Contains(err.Error(), "s3://") {
			t.Errorf("Open(%q): %v", location, err)
		}
	}
}

// TestStoreComesBack: a store that cannot be opened at first is used once it can.
func TestStoreComesBack(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(parent, nil, 0o600); err != nil { // where the disk is to be mounted
		t.Fatal(err)
	}
	store, err := Open("file://"+parent+"/snapshots", clocktesting.NewFakeClock(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Save(t.Context(), Source{ID: testID}, bytes.NewReader(database(3))); err == nil || !strings.Contains(err.Error(), parent) {
		t.Errorf("without the disk: %v", err)
	}
	if err := os.Remove(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Save(t.Context(), Source{ID: testID}, bytes.NewReader(database(3))); err != nil {
		t.Errorf("with the disk: %v", err)
	}
}
