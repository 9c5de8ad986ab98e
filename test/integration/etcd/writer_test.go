package etcd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// connect makes a client of the members in these zones.
func (f *fixture) connect(zones ...string) *clientv3.Client {
	f.t.Helper()
	authority, err := f.identity.Authority(string(controlplane.EtcdCA))
	if err != nil {
		f.t.Fatal(err)
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: "test", Client: true, Lifetime: time.Hour}, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		f.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	var endpoints []string
	for _, zone := range zones {
		endpoints = append(endpoints, "https://"+net.JoinHostPort(f.hosts["etcd-"+zone], "2379"))
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(),
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = client.Close() })
	return client
}

// writer writes one key after the other through whichever member answers, and remembers which writes
// were acknowledged.
type writer struct {
	mu    sync.Mutex
	acked []string
	stop  func()
}

func (f *fixture) write(zones ...string) *writer {
	f.t.Helper()
	client := f.connect(zones...)
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ctx.Err() == nil; n++ {
			w.put(ctx, client, fmt.Sprintf("/write/%08d", n))
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	f.t.Cleanup(w.stop)
	return w
}

func (w *writer) put(ctx context.Context, client *clientv3.Client, key string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := client.Put(ctx, key, "x"); err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.acked = append(w.acked, key)
	}
}

func (w *writer) count() int { return len(w.keys()) }

// keys that were acknowledged so far, in their order.
func (w *writer) keys() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acked)
}

// check that each member has every write that was acknowledged, by itself.
func (w *writer) check(f *fixture, zones ...string) {
	f.t.Helper()
	w.stop()
	for _, zone := range zones {
		client := f.connect(zone)
		// A linearizable read first: from then on the member has all that was written before.
		for _, options := range [][]clientv3.OpOption{{clientv3.WithKeysOnly()}, {clientv3.WithKeysOnly(), clientv3.WithSerializable()}} {
			answer, err := client.Get(f.t.Context(), "/write/", append(options, clientv3.WithPrefix())...)
			if err != nil {
				f.t.Fatalf("read from zone %s: %v", zone, err)
			}
			kept := map[string]bool{}
			for _, kv := range answer.Kvs {
				kept[string(kv.Key)] = true
			}
			for _, key := range w.acked {
				if !kept[key] {
					f.t.Errorf("zone %s lost %s, which was acknowledged", zone, key)
				}
			}
		}
	}
	f.t.Logf("%d writes were acknowledged", len(w.acked))
}

// membersOf are the ids of the members by name.
func membersOf(t *testing.T, client *clientv3.Client) map[string]uint64 {
	t.Helper()
	answer, err := client.MemberList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]uint64{}
	for _, member := range answer.Members {
		if !member.IsLearner {
			ids[member.Name] = member.ID
		}
	}
	return ids
}
