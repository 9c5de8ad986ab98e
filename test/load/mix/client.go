package mix

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
)

const (
	// binary asks for what Kubernetes' own clients ask for; custom resources come as JSON.
	binary = "application/vnd.kubernetes.protobuf, application/json"
	text   = "application/json"
	patch  = "application/merge-patch+json"

	// patience with one request. Kubernetes gives up its own after 60 s.
	patience = 60 * time.Second
	// slowDial is how long a connection may take to be made.
	slowDial = 5 * time.Second
	// kept bytes of an answer are read by somebody; the rest is only counted.
	kept = 64 << 10
)

// client sends requests without retries over a connection of its own. What it sends counts against the
// limiter that all clients of a run share.
type client struct {
	base    *url.URL
	round   http.RoundTripper
	idle    func()
	limiter *rate.Limiter
	record  *recorder
}

func newClient(config *rest.Config, allowed targets, limiter *rate.Limiter, record *recorder) (*client, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the credentials for %s: %w", base, err)
	}
	transport := &http.Transport{
		TLSClientConfig:     tls,
		TLSHandshakeTimeout: slowDial,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // the generator shares its cores with what it loads
		IdleConnTimeout:     30 * time.Second,
		DialContext:         (&net.Dialer{Timeout: slowDial, Control: allowed.control}).DialContext,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: slowDial, PingTimeout: slowDial},
	}
	round, err := rest.HTTPWrappersForConfig(config, transport)
	if err != nil {
		return nil, fmt.Errorf("read the credentials for %s: %w", base, err)
	}
	return &client{base: base, round: round, idle: transport.CloseIdleConnections, limiter: limiter, record: record}, nil
}

// request to the API server.
type request struct {
	verb         Verb
	method, path string
	query        url.Values
	accept       string // empty: binary
	content      string // the type of body; empty: text
	body         []byte
	expected     []int // statuses that are no failure; success always is none
}

// answer of the API server.
type answer struct {
	status int
	body   []byte // its first 64 KiB
}

// err says what is wrong with an answer.
func (a answer) err() error {
	if a.status/100 == 2 {
		return nil
	}
	return fmt.Errorf("the API server answers %d: %.300s", a.status, a.body)
}

// do waits for its turn, sends a request, reads all of its answer, and records what came of it.
func (c *client) do(ctx context.Context, r request) (answer, error) {
	if err := c.limiter.Wait(ctx); err != nil {
		return answer{}, err
	}
	begun := time.Now()
	result, err := c.exchange(ctx, r)
	if ctx.Err() == nil { // what the end of the run cut off tells nothing about the guest
		c.record.request(r, time.Since(begun), result.status, err)
	}
	return result, err
}

func (c *client) exchange(ctx context.Context, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, kept))
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
	}
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return answer{status: response.StatusCode, body: body}, nil
}

func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	target := *c.base
	target.Path, target.RawQuery = strings.TrimSuffix(c.base.Path, "/")+r.path, r.query.Encode()
	sent, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	sent.Header.Set("Accept", either(r.accept, binary))
	sent.Header.Set("User-Agent", "myriad-load-mix")
	if r.body != nil {
		sent.Header.Set("Content-Type", either(r.content, text))
	}
	return c.round.RoundTrip(sent)
}

func either(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
