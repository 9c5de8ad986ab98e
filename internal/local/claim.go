package local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The second octets that homes claim: 127.64.0.0/16 to 127.250.0.0/16. Lower ones are left to
// other software (Debian itself uses 127.0.1.1, systemd-resolved 127.0.0.53).
const (
	firstOctet = 64
	lastOctet  = 250
)

// registry holds a file for each claimed 127.N.0.0/16, with the path of the home that has it. It
// is one for the whole machine, writable by all users, and survives reboots.
type registry struct{ dir string }

// machineRegistry is in /var/tmp because that directory is kept over reboots and open to all users.
func machineRegistry() registry { return registry{dir: "/var/tmp/myriad-loopback"} }

// claim returns the home's network, claimed now if it had none.
func (r registry) claim(home *Home) (netip.Prefix, error) {
	if err := r.prepare(); err != nil {
		return netip.Prefix{}, err
	}
	unlock, err := r.lock()
	if err != nil {
		return netip.Prefix{}, err
	}
	defer unlock()
	if home.Settings.Network.IsValid() {
		return r.reclaim(home)
	}
	if network, found := r.find(home.Dir); found {
		return network, nil // home.json was lost after the claim
	}
	start := int(sha256.Sum256([]byte(home.Dir))[0])
	count := lastOctet - firstOctet + 1
	for i := range count {
		octet := firstOctet + (start+i)%count
		if r.take(octet, home.Dir) {
			return network(octet), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("all %d loopback networks are claimed by other homes (see %s); remove a home that you no longer need", count, r.dir)
}

// reclaim takes the network that home.json names again, for example after the registry was emptied.
func (r registry) reclaim(home *Home) (netip.Prefix, error) {
	claimed := home.Settings.Network
	octet := int(claimed.Addr().As4()[1])
	if r.owner(octet) == home.Dir || r.take(octet, home.Dir) {
		r.touch(octet)
		return claimed, nil
	}
	// What listens there may be the home's own hub: systemd removes what nobody has touched in /var/tmp for 30 days.
	_, running := (&platform{home: home}).supervisor()
	if running && r.owner(octet) == "" && r.note(octet, home.Dir) {
		return claimed, nil
	}
	if r.owner(octet) == "" {
		return netip.Prefix{}, fmt.Errorf("home %s uses %s, and another program listens on %s or %s; 'ss -ltnp' names it: stop it, then run 'myriad up' again",
			home.Dir, claimed, net.JoinHostPort(hubHosts(claimed).apiServer.String(), strconv.Itoa(hubPort)), net.JoinHostPort(hubHosts(claimed).etcd.String(), "2379"))
	}
	return netip.Prefix{}, fmt.Errorf("home %s uses %s, which home %s has claimed since; stop that one and remove %s, or move this home's clusters",
		home.Dir, claimed, r.owner(octet), r.file(octet))
}

func (r registry) prepare() error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("make the registry of loopback networks: %w", err)
	}
	info, err := os.Stat(r.dir)
	if err != nil {
		return fmt.Errorf("registry of loopback networks: %w", err)
	}
	if info.Mode()&0o777 == 0o777 {
		return nil
	}
	// Open to all users, each of whom can remove only files of their own.
	if err := os.Chmod(r.dir, 0o777|os.ModeSticky); err != nil {
		return fmt.Errorf("open the registry of loopback networks to all users: %w", err)
	}
	return nil
}

// lock lets one home claim at a time: of two that find the same stale claim one must come second.
func (r registry) lock() (unlock func(), err error) {
	directory, err := os.Open(r.dir)
	if err != nil {
		return nil, fmt.Errorf("lock the registry of loopback networks: %w", err)
	}
	if err := unix.Flock(int(directory.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock the registry of loopback networks: %w", errors.Join(err, directory.Close()))
	}
	return func() { _ = directory.Close() }, nil
}

func (r registry) file(octet int) string { return filepath.Join(r.dir, "127."+strconv.Itoa(octet)) }

func (r registry) owner(octet int) string {
	text, err := os.ReadFile(r.file(octet))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (r registry) find(home string) (netip.Prefix, bool) {
	for octet := firstOctet; octet <= lastOctet; octet++ {
		if r.owner(octet) == home {
			return network(octet), true
		}
	}
	return netip.Prefix{}, false
}

// take claims a network unless a living home has it or something listens there.
func (r registry) take(octet int, home string) bool {
	if owner := r.owner(octet); owner != "" && stale(owner, octet) {
		_ = os.Remove(r.file(octet)) // fails for other users' files, and then the claim below does too
	}
	return !inUse(octet) && r.note(octet, home)
}

// note a claim where there is none.
func (r registry) note(octet int, home string) bool {
	file, err := os.OpenFile(r.file(octet), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return false
	}
	_, err = file.WriteString(home + "\n")
	return errors.Join(err, file.Close()) == nil
}

// touch a claim, so that whatever clears /var/tmp by age leaves it alone for another while.
func (r registry) touch(octet int) {
	now := unix.Timespec{Nsec: unix.UTIME_NOW}
	_ = unix.UtimesNanoAt(unix.AT_FDCWD, r.file(octet), []unix.Timespec{now, now}, 0) // if it goes, reclaim notes it anew
}

// stale says that a claim's home is gone or has another network now.
func stale(owner string, octet int) bool {
	if _, err := os.Stat(owner); err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	home, err := OpenHome(owner)
	return err == nil && home.Settings.Network.IsValid() && home.Settings.Network != network(octet)
}

// inUse says that some other program listens where the hub would.
func inUse(octet int) bool {
	for _, address := range []string{
		net.JoinHostPort(hubHosts(network(octet)).apiServer.String(), strconv.Itoa(hubPort)),
		net.JoinHostPort(hubHosts(network(octet)).etcd.String(), "2379"),
	} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return true
		}
		_ = listener.Close()
	}
	return false
}

func network(octet int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(octet), 0, 0}), 16)
}
