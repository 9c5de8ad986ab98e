package fleet

import (
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestListeners(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.231.8:0")
	if err != nil {
		t.Fatal(err)
	}
	want, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	found, err := listeners(netip.MustParsePrefix("127.0.231.0/24"))
	if err != nil || !slices.Equal(found, []netip.AddrPort{want}) {
		t.Errorf("want %s alone, got %v, %v", want, found, err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	found, err = listeners(netip.MustParsePrefix("127.0.231.0/24"))
	if err != nil || len(found) != 0 {
		t.Errorf("nothing listens any more, got %v, %v", found, err)
	}
}

func TestStrays(t *testing.T) {
	f := &Fleet{Home: t.TempDir()}
	command := exec.Command("sleep", "60")
	command.Env = []string{"MYRIAD_INSTANCE=" + f.Home + "/platform/hub/etcd-hub"}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var instances map[string]Process
	for began := time.Now(); len(instances) == 0 && time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		var err error // a process has no environment until it has been executed
		if instances, err = f.Instances(); err != nil {
			t.Fatal(err)
		}
	}
	if len(instances) != 1 || instances["platform/hub/etcd-hub"].PID != command.Process.Pid {
		t.Fatalf("want the marked process alone, got %v", instances)
	}
	if err := instances["platform/hub/etcd-hub"].Kill(); err != nil {
		t.Error(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("the process ended by itself, want it killed")
	}
	strays, err := f.Strays()
	if err != nil || len(strays) != 0 {
		t.Errorf("nothing runs any more, got %v, %v", strays, err)
	}
}
