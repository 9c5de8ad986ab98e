package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// pageBytes is the unit in which bbolt's files grow; the checksum stands after the last.
// (etcdutl's snapshot restore tells by the rest of this division whether there is one.)
const pageBytes = 512

// verifier passes on a stream of etcd's and fails at its end unless the stream ends with the SHA-256
// of what comes before it.
type verifier struct {
	from io.Reader
	hash hash.Hash
	tail []byte // the last bytes so far, which may be the checksum
	size int64
}

func newVerifier(from io.Reader) io.Reader { return &verifier{from: from, hash: sha256.New()} }

// Read is part of io.Reader.
func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.from.Read(p)
	v.size += int64(n)
	v.tail = append(v.tail, p[:n]...)
	if extra := len(v.tail) - sha256.Size; extra > 0 {
		v.hash.Write(v.tail[:extra]) // never fails
		v.tail = append(v.tail[:0], v.tail[extra:]...)
	}
	if errors.Is(err, io.EOF) {
		if bad := v.check(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

func (v *verifier) check() error {
	if v.size%pageBytes != sha256.Size {
		return fmt.Errorf("etcd's stream ended after %d bytes, without a checksum", v.size)
	}
	if !bytes.Equal(v.hash.Sum(nil), v.tail) {
		return errors.New("etcd's stream does not match the checksum at its end")
	}
	return nil
}
