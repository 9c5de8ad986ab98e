package passthrough

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clientHello that crypto/tls sends.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		_ = tls.Client(client, config).Handshake() // fails: nobody answers
		client.Close()
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(server, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(header, body)
}

// records of a hello, cut into fragments of at most size bytes.
func records(hello []byte, size int) []byte {
	var cut []byte
	for body := hello[5:]; len(body) > 0; {
		count := min(size, len(body))
		cut = append(cut, hello[0], hello[1], hello[2], byte(count>>8), byte(count))
		cut = append(cut, body[:count]...)
		body = body[count:]
	}
	return cut
}

// oneByOne gives a byte per read.
type oneByOne struct{ net.Conn }

func (c oneByOne) Read(into []byte) (int, error) { return c.Conn.Read(into[:1]) }

func TestReadHello(t *testing.T) {
	named := clientHello(t, &tls.Config{ServerName: "G.Example", MinVersion: tls.VersionTLS12})
	nameless := clientHello(t, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	type result struct {
		Name     string
		Complete bool
		Failed   bool
	}
	cases := map[string]struct {
		reason   string
		sent     []byte
		oneByOne bool
		want     result
	}{
		"Named":     {reason: "The name is in the hello, in lower case.", sent: named, want: result{Name: "g.example", Complete: true}},
		"Nameless":  {reason: "A hello without a name is complete.", sent: nameless, want: result{Complete: true}},
		"Trickle":   {reason: "A hello may come in any number of segments.", sent: named, oneByOne: true, want: result{Name: "g.example", Complete: true}},
		"Records":   {reason: "A hello may come in several records.", sent: records(named, 100), want: result{Name: "g.example", Complete: true}},
		"FollowUp":  {reason: "What follows the hello is kept too.", sent: append(bytes.Clone(named), "early data"...), want: result{Name: "g.example", Complete: true}},
		"NoTLS":     {reason: "What is no hello is given back as it is.", sent: []byte("GET / HTTP/1.1\r\n\r\n"), want: result{}},
		"HalfHello": {reason: "A client that goes away has failed.", sent: named[:len(named)-1], want: result{Failed: true}},
		"Nothing":   {reason: "A client that says nothing has failed.", want: result{Failed: true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client, server := connected(t)
			if _, err := client.Write(tc.sent); err != nil {
				t.Fatal(err)
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			connection := server
			if tc.oneByOne {
				connection = oneByOne{Conn: server}
			}
			got, err := readHello(connection, 5*time.Second)
			if diff := cmp.Diff(tc.want, result{Name: got.serverName, Complete: got.complete, Failed: err != nil}); diff != "" {
				t.Errorf("%s\nreadHello(...): -want, +got:\n%s\nerror: %v", tc.reason, diff, err)
			}
			rest, _ := io.ReadAll(server)
			if all := slices.Concat(got.sent, rest); err == nil && !bytes.Equal(all, tc.sent) {
				t.Errorf("%s\nkept and unread bytes differ from what was sent: %d of %d bytes", tc.reason, len(all), len(tc.sent))
			}
		})
	}
}

// connected sockets.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener := listen(t)
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

func TestReadHelloTimesOut(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if _, err := readHello(server, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("readHello from a silent client: %v", err)
	}
}

func TestReadHelloIsBounded(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() {
		header := []byte{22, 3, 1, 0x40, 0}
		for record := slices.Concat(header, []byte{1, 0, 0xff, 0xff}); ; record = header {
			if _, err := client.Write(append(record, make([]byte, 0x4000-(len(record)-5))...)); err != nil {
				return
			}
		}
	}()
	got, err := readHello(server, 5*time.Second)
	if got.complete || len(got.sent) > 2*maxHello {
		t.Errorf("an endless hello was read for %d bytes, complete: %t, error: %v", len(got.sent), got.complete, err)
	}
}

func FuzzReadHello(f *testing.F) {
	hello := clientHello(f, &tls.Config{ServerName: "g.example", MinVersion: tls.VersionTLS12})
	f.Add(hello)
	f.Add(records(hello, 7))
	f.Add([]byte{22, 3, 1, 0, 0})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		client, server := net.Pipe()
		defer server.Close()
		go func() {
			_, _ = client.Write(sent)
			client.Close()
		}()
		got, _ := readHello(server, 5*time.Second)
		if !bytes.HasPrefix(sent, got.sent) {
			t.Errorf("readHello kept %d bytes that were not sent", len(got.sent))
		}
		if got.serverName != "" && !got.complete {
			t.Errorf("name %q out of an incomplete hello", got.serverName)
		}
	})
}
