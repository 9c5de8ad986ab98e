package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	// runLabel marks the ConfigMaps of one run.
	runLabel = "test.myriad.dev/load"
	// dataKey is the one key in a ConfigMap's data.
	dataKey = "value"
)

// client sends single requests without retries over its own connection.
type client struct {
	config    *rest.Config
	base      *url.URL
	path      string
	timeout   time.Duration
	ping      time.Duration
	transport *http.Transport
	round     http.RoundTripper // transport with the credentials of config
}

func newClient(config *rest.Config, options Options) (*client, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the API server: %w", err)
	}
	c := &client{
		config:  config,
		base:    base,
		path:    "/api/v1/namespaces/" + options.Namespace + "/configmaps",
		timeout: options.Timeout,
		ping:    options.Ping,
	}
	return c, c.connect()
}

// connect gives the client a new transport. The old one's connection is closed as soon as it idles.
func (c *client) connect() error {
	tls, err := rest.TLSConfigFor(c.config)
	if err != nil {
		return fmt.Errorf("reading the credentials for %s: %w", c.base, err)
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.transport = &http.Transport{
		TLSClientConfig:       tls,
		TLSHandshakeTimeout:   c.timeout,
		ResponseHeaderTimeout: c.timeout,
		IdleConnTimeout:       10 * time.Second,
		ForceAttemptHTTP2:     true,
		DialContext:           (&net.Dialer{Timeout: c.timeout}).DialContext,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: c.ping, PingTimeout: c.ping},
	}
	c.round, err = rest.HTTPWrappersForConfig(c.config, c.transport)
	if err != nil {
		return fmt.Errorf("reading the credentials for %s: %w", c.base, err)
	}
	return nil
}

// fresh returns a client of the same API server with a connection of its own. The configuration was
// read once without error, so it can be read again.
func (c *client) fresh() *client {
	twin := *c
	twin.transport = nil
	if err := twin.connect(); err != nil {
		panic("a configuration that was valid is not any more: " + err.Error())
	}
	return &twin
}

// answer of the API server to one request.
type answer struct {
	status int
	body   []byte
}

// do sends one request and reads its answer, in at most the client's timeout. When that fails the
// connection is given up, as a sane client would.
func (c *client) do(ctx context.Context, method, name string, query url.Values, object any) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	result, err := c.send(ctx, method, name, query, object)
	if err != nil {
		return answer{}, errors.Join(err, c.connect())
	}
	return result, err
}

func (c *client) send(ctx context.Context, method, name string, query url.Values, object any) (answer, error) {
	request, err := c.request(ctx, method, name, query, object)
	if err != nil {
		return answer{}, err
	}
	response, err := c.round.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{status: response.StatusCode, body: body}, nil
}

func (c *client) request(ctx context.Context, method, name string, query url.Values, object any) (*http.Request, error) {
	target := *c.base
	target.Path = c.path
	if name != "" {
		target.Path += "/" + name
	}
	target.RawQuery = query.Encode()
	var body io.Reader
	if object != nil {
		content, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	return request, nil
}

// unsent tells whether a failed request surely never reached a server.
func unsent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// list returns the values of the run's ConfigMaps by name and the revision of the list.
func (c *client) list(ctx context.Context, selector string) (map[string]string, int64, error) {
	result, err := c.do(ctx, http.MethodGet, "", url.Values{"labelSelector": {selector}}, nil)
	if err != nil {
		return nil, 0, err
	}
	if result.status != http.StatusOK {
		return nil, 0, unexpected(result)
	}
	return parseList(result.body)
}

func parseList(body []byte) (map[string]string, int64, error) {
	var list corev1.ConfigMapList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, 0, fmt.Errorf("reading a list: %w", err)
	}
	revision, err := strconv.ParseInt(list.ResourceVersion, 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("reading a list's resourceVersion: %w", err)
	}
	values := make(map[string]string, len(list.Items))
	for _, item := range list.Items {
		values[item.Name] = item.Data[dataKey]
	}
	return values, revision, nil
}

func (c *client) deleteAll(ctx context.Context, selector string) error {
	result, err := c.do(ctx, http.MethodDelete, "", url.Values{"labelSelector": {selector}}, nil)
	if err != nil {
		return err
	}
	if result.status != http.StatusOK {
		return unexpected(result)
	}
	return nil
}

// configMap of a key, with the resource version that it must have now, or "" for any.
func (r *Run) configMap(key, value, resourceVersion string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name:            key,
			Namespace:       r.options.Namespace,
			ResourceVersion: resourceVersion,
			Labels:          map[string]string{runLabel: r.keys.prefix},
		},
		Data: map[string]string{dataKey: value},
	}
}

// unexpected is the error of an answer that no client of a healthy API server gets.
func unexpected(result answer) error {
	return fmt.Errorf("status %d: %.200s", result.status, result.body)
}
