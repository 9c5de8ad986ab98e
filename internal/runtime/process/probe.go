package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// A probe that fails this often in a row takes a ready component's readiness away: one lost answer
// of a busy host is no failure.
const probeFailures = 2

// prober asks one component whether it is ready. It only reports: nothing is killed for its answers.
type prober struct {
	probe  controlplane.Probe
	config string // directory of the certificates
	timing timing
	ready  bool // what was last reported
	after  func(time.Duration) <-chan time.Time
	report func(ready bool)
	// data is looked at with each probe; lost is called when it is gone.
	data *dataWatch
	lost func()

	material []byte // what client was made of
	client   *http.Client
}

// run probes until ctx is done: often until the first success, seldom afterwards.
func (p *prober) run(ctx context.Context) {
	defer func() {
		if p.client != nil {
			p.client.CloseIdleConnections()
		}
	}()
	wasReady, failures := p.ready, 0
	for ctx.Err() == nil {
		interval := p.timing.probeStarting
		switch err := p.ask(ctx); {
		case err == nil:
			failures, interval = 0, p.timing.probeRunning
			if !p.ready {
				p.report(true)
			}
			wasReady, p.ready = true, true
			p.data.note()
		case wasReady:
			failures++
			interval = p.timing.probeFailing
			if p.ready && failures >= probeFailures {
				p.report(false)
				p.ready = false
			}
		}
		if p.data.gone() {
			p.lost()
		}
		select {
		case <-ctx.Done():
		case <-p.after(interval):
		}
	}
}

func (p *prober) ask(ctx context.Context) error {
	if err := p.load(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timing.probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, probeURL(p.probe), nil)
	if err != nil {
		return fmt.Errorf("probing %s: %w", p.probe.Address, err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	// Reading to the end lets the connection be used again.
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("probing %s: %s", p.probe.Address, response.Status)
	}
	return err
}

func probeURL(probe controlplane.Probe) string {
	if probe.Socket != "" {
		return "http://socket" + probe.Path
	}
	if probe.Plain {
		return "http://" + probe.Address + probe.Path
	}
	return "https://" + probe.Address + probe.Path
}

// load makes the client anew when its certificates have changed on disk.
func (p *prober) load() error {
	if p.probe.Socket != "" {
		if p.client == nil {
			p.client = &http.Client{Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, p.probe.Socket) },
			}}
		}
		return nil
	}
	var files [3][]byte
	for i, name := range []string{p.probe.CAFile, p.probe.CertFile, p.probe.KeyFile} {
		if name == "" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(p.config, name))
		if err != nil {
			return fmt.Errorf("reading the probe's certificates: %w", err)
		}
		files[i] = content
	}
	material := bytes.Join(files[:], []byte{0})
	if p.client != nil && bytes.Equal(material, p.material) {
		return nil
	}
	settings, err := probeTLS(files[0], files[1], files[2], p.probe.ServerName)
	if err != nil {
		return err
	}
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
	p.material = material
	p.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: settings, MaxIdleConns: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func probeTLS(ca, cert, key []byte, serverName string) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if len(ca) == 0 {
		// The program serves a certificate of its own making, on this host's loopback.
		settings.InsecureSkipVerify = true
	} else {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the probe's CA file holds no certificate")
		}
	}
	if len(cert) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("loading the probe's client certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}
