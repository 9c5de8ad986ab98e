// Package renewal renews the agent's own client certificate: it asks in Cell.status and takes the
// answer from a ConfigMap.
package renewal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	// lookAgain is how often the certificate is looked at: the clock may jump.
	lookAgain = time.Minute
	// askAgain is the pause between two looks for the answer.
	askAgain = 5 * time.Second
)

// Keys of the ConfigMap that answers.
const (
	answeredRequest   = "request"
	answerCertificate = "certificate"
)

// Hub holds the Cell and the answer.
type Hub interface {
	Cell() *v1alpha1.Cell
	Answer(ctx context.Context) (map[string]string, error)
}

// Options of a Renewer.
type Options struct {
	// Dir holds the agent's certificate: client.crt and client.key.
	Dir string
	// Cell that the certificate names.
	Cell string
	Hub  Hub
	// RequestLifetime is how long a request may go unanswered before another one replaces it.
	RequestLifetime time.Duration
	// Changed is called when Request has a new answer, Renewed when there is a new certificate.
	Changed, Renewed func()
	Clock            clock.Clock
	Log              *slog.Logger
}

// Renewer renews one certificate.
type Renewer struct {
	Options
	files files

	mu      sync.Mutex
	request []byte    // under way; empty for none
	asked   time.Time // when this process first saw the request
}

// New makes a Renewer, which goes on with the request that an earlier process made.
func New(options Options) *Renewer {
	r := &Renewer{Options: options, files: files{options.Dir}}
	if request, ok := r.files.pending(); ok {
		r.request, r.asked = request, r.Clock.Now()
	}
	return r
}

// Request (PEM) that the hub should answer; empty for none.
func (r *Renewer) Request() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.request)
}

// Run renews until the context ends.
func (r *Renewer) Run(ctx context.Context) {
	for {
		if err := r.Renew(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("the agent's certificate could not be renewed; it is tried again", "error", err)
		}
		pause := lookAgain
		if r.Request() != "" {
			pause = askAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-r.Clock.After(pause):
		}
	}
}

// Renew asks for a certificate when that is due, and installs the answer when there is one.
func (r *Renewer) Renew(ctx context.Context) error {
	if r.Request() == "" {
		return r.ask()
	}
	answer, err := r.Hub.Answer(ctx)
	if err != nil {
		r.Log.Debug("the hub's answer cannot be read; it is tried again", "error", err)
		return nil
	}
	sum := sha256.Sum256([]byte(r.Request()))
	if answer[answeredRequest] != hex.EncodeToString(sum[:]) {
		if r.Clock.Since(r.asked) > r.RequestLifetime {
			return r.newRequest(r.user())
		}
		return nil
	}
	if err := r.files.install([]byte(answer[answerCertificate])); err != nil {
		r.Log.Error("the hub's answer is of no use; another request is made", "error", err)
		return r.newRequest(r.user())
	}
	r.set(nil)
	r.Renewed()
	r.Log.Info("renewed the agent's certificate")
	return nil
}

// ask makes a request when two thirds of the certificate's lifetime have gone.
func (r *Renewer) ask() error {
	certificate, err := r.files.certificate()
	if err != nil {
		return err
	}
	renewAt, err := pki.RenewAt(certificate)
	if err != nil {
		return fmt.Errorf("find out when to renew the agent's certificate: %w", err)
	}
	if r.Clock.Now().Before(renewAt) {
		return nil
	}
	return r.newRequest(r.user())
}

func (r *Renewer) newRequest(user string) error {
	request, key, err := pki.NewRequest(user)
	if err != nil {
		return fmt.Errorf("make a request for %s: %w", user, err)
	}
	if err := r.files.keep(request, key); err != nil {
		return err
	}
	r.set(request)
	return nil
}

// user is the name to ask for: the hub signs the Cell's present generation only.
func (r *Renewer) user() string {
	if cell := r.Hub.Cell(); cell != nil {
		return v1alpha1.AgentUser(r.Cell, cell.Spec.CredentialGeneration)
	}
	if data, err := r.files.certificate(); err == nil {
		if certificate, err := pki.ParseCertificate(data); err == nil {
			return certificate.Subject.CommonName
		}
	}
	return v1alpha1.AgentUser(r.Cell, 1)
}

func (r *Renewer) set(request []byte) {
	r.mu.Lock()
	r.request, r.asked = request, r.Clock.Now()
	r.mu.Unlock()
	r.Changed()
}
