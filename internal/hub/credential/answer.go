package credential

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// skew is by how much the clocks of hub and cell may differ.
const skew = 5 * time.Minute

// groups of the certificates, by role.
var groups = map[v1alpha1.CredentialRole]string{
	v1alpha1.CredentialAdmin:  v1alpha1.GroupAdmins,
	v1alpha1.CredentialViewer: v1alpha1.GroupViewers,
}

// carryBack the cell's answer, if there is one yet.
func (r *reconciler) carryBack(ctx context.Context, s *subject) (bool, error) {
	reported := meta.FindStatusCondition(s.mirror.Status.Conditions, v1alpha1.ConditionReady)
	if s.mirror.Status.Certificate == "" {
		if reported != nil && reported.Reason == v1alpha1.ReasonRefused {
			return true, r.wait(ctx, s, v1alpha1.ReasonRefused, reported.Message)
		}
		return true, r.wait(ctx, s, v1alpha1.ReasonPending, "waits for the cell's agent to sign it")
	}
	if s.order.Status.CABundle == "" {
		return true, r.wait(ctx, s, v1alpha1.ReasonPending, "waits for the guest's CA, which the answer is checked against")
	}
	certificate, err := verify(s.mirror.Status.Certificate, s.order.Status.CABundle, s.credential.Spec, r.clock.Now())
	if err != nil {
		return true, r.wait(ctx, s, v1alpha1.ReasonRefused, fmt.Sprintf("the cell's answer is not what was asked for: %s", err))
	}
	return true, write.Status(ctx, r.client, s.credential, func(c *v1alpha1.ClusterCredential) {
		expires := metav1.NewTime(certificate.NotAfter)
		c.Status.Certificate = s.mirror.Status.Certificate
		c.Status.Expires = &expires
		c.Status.CABundle = s.order.Status.CABundle
		c.Status.Endpoint = s.order.Spec.Endpoint.DeepCopy()
		write.Condition(&c.Status.Conditions, r.clock.Now(), metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSigned,
			Message: "status.certificate is signed by the guest's CA", ObservedGeneration: c.Generation,
		})
	})
}

// verify that a certificate is signed by the guest's CA and is what was asked for, no more.
func verify(certificatePEM, caBundle string, asked v1alpha1.ClusterCredentialSpec, now time.Time) (*x509.Certificate, error) {
	certificate, err := pki.ParseCertificate([]byte(certificatePEM))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(caBundle)) {
		return nil, errors.New("the guest's CA bundle holds no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, CurrentTime: now.Add(skew), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := certificate.Verify(options); err != nil {
		return nil, fmt.Errorf("it is not signed by the guest's CA: %w", err)
	}
	request, err := pki.ParseRequest([]byte(asked.Request))
	if err != nil {
		return nil, err
	}
	latest := now.Add(time.Duration(asked.ExpirationSeconds)*time.Second + skew)
	switch {
	case !bytes.Equal(certificate.RawSubjectPublicKeyInfo, request.RawSubjectPublicKeyInfo):
		return nil, errors.New("it holds another public key")
	case certificate.Subject.CommonName != asked.User:
		return nil, fmt.Errorf("it names user %q, not %q", certificate.Subject.CommonName, asked.User)
	case !slices.Equal(certificate.Subject.Organization, []string{groups[asked.Role]}):
		return nil, fmt.Errorf("it names the groups %q, not %q alone", certificate.Subject.Organization, groups[asked.Role])
	case certificate.IsCA:
		return nil, errors.New("it is a certificate authority")
	case certificate.NotAfter.After(latest):
		return nil, fmt.Errorf("it lives until %s, which is longer than %d s", certificate.NotAfter.UTC().Format(time.RFC3339), asked.ExpirationSeconds)
	}
	return certificate, nil
}
