package pki

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// RenewAt tells when to renew a certificate: after two thirds of its lifetime, moved by up to 5 % of
// the lifetime either way. The move comes from the serial number, so that it is the same at every
// call and certificates made together are not renewed together.
func RenewAt(certPEM []byte) (time.Time, error) {
	certificate, err := ParseCertificate(certPEM)
	if err != nil {
		return time.Time{}, err
	}
	// The time before its making is no part of a certificate's life: a leaf that lives for minutes
	// would otherwise be due as soon as it is made.
	made := certificate.NotBefore.Add(Backdate)
	if !made.Before(certificate.NotAfter) {
		made = certificate.NotBefore // not made by us
	}
	lifetime := float64(certificate.NotAfter.Sub(made))
	sum := sha256.Sum256(certificate.SerialNumber.Bytes())
	move := float64(binary.BigEndian.Uint32(sum[:]))/math.MaxUint32 - 0.5 // −0.5 to 0.5
	return made.Add(time.Duration(lifetime * (2.0/3 + move/10))), nil
}
