package process

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
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Client talks to the supervisor of a directory. It dials for each request, so it goes on working
// when the supervisor is replaced.
type Client struct {
	dir  string
	http *http.Client
}

// NewClient makes a client for the supervisor of dir, which need not run yet.
func NewClient(dir string) *Client {
	return &Client{dir: dir, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
	}}}
}

// Reserve returns the address of each named instance of a guest: the same answer every time, on disk
// before it returns.
func (c *Client) Reserve(ctx context.Context, id string, names []string) (map[string]string, error) {
	var hosts map[string]string
	err := c.call(ctx, http.MethodPut, guestPath(id)+"/addresses", names, &hosts)
	return hosts, err
}

// Apply makes a resolved manifest what is wanted of its guest. It returns once that is on disk;
// Observe and Watch tell what becomes of it.
func (c *Client) Apply(ctx context.Context, m controlplane.Manifest) error {
	return c.call(ctx, http.MethodPut, guestPath(m.ID), m, nil)
}

// Observe returns how a guest is. Of a guest that does not exist it says so without an error.
func (c *Client) Observe(ctx context.Context, id string) (runtime.Observation, error) {
	var o runtime.Observation
	err := c.call(ctx, http.MethodGet, guestPath(id), nil, &o)
	return o, err
}

// Delete kills a guest's processes, removes its files and releases its addresses. It returns when
// nothing remains; deleting what does not exist is no error.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, guestPath(id), nil, nil)
}

// Discard throws away what a component's data directory holds, whether it runs or not: its process is
// killed first. It returns once the data is gone; the component then starts as if it had never run, with
// the manifest of then. Once begun it is finished, whatever becomes of the caller and the supervisor, and
// asking again meanwhile changes nothing. Asking again later throws away what there is by then.
func (c *Client) Discard(ctx context.Context, id, component string) error {
	return c.call(ctx, http.MethodPost, guestPath(id)+"/components/"+url.PathEscape(component)+"/discard", nil, nil)
}

// List returns the ids of the guests in their order.
func (c *Client) List(ctx context.Context) ([]string, error) {
	var ids []string
	err := c.call(ctx, http.MethodGet, "/guests", nil, &ids)
	return ids, err
}

// Hold puts exactly these drills in force, until the next call.
func (c *Client) Hold(ctx context.Context, drills []v1alpha1.Drill) error {
	return c.call(ctx, http.MethodPut, "/drills", drills, nil)
}

// Capacity of the host, divided equally over the supervisor's zones.
func (c *Client) Capacity(ctx context.Context) (runtime.Capacity, error) {
	var capacity runtime.Capacity
	err := c.call(ctx, http.MethodGet, "/capacity", nil, &capacity)
	return capacity, err
}

// Stop ends every process, those that depend on others first, and returns when all are gone. The
// supervisor starts nothing again until Resume; its successor does.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/stop", nil, nil)
}

// Resume starts what Stop has ended. It changes nothing where nothing was stopped.
func (c *Client) Resume(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/resume", nil, nil)
}

// Watch sends the id of every guest at first, and then of each one whose observation has changed.
// The channel is closed when the supervisor goes or ctx is done.
func (c *Client) Watch(ctx context.Context) (<-chan string, error) {
	response, err := c.send(ctx, http.MethodGet, "/watch", nil)
	if err != nil {
		return nil, err
	}
	ids := make(chan string)
	go func() {
		defer close(ids)
		defer func() { _ = response.Body.Close() }() // only read
		lines := json.NewDecoder(response.Body)
		for {
			var id string
			if lines.Decode(&id) != nil {
				return
			}
			select {
			case ids <- id:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ids, nil
}

func guestPath(id string) string { return "/guests/" + url.PathEscape(id) }

func (c *Client) call(ctx context.Context, method, path string, body, answer any) error {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // only read
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("process runtime %s: reading the answer to %s %s: %w", c.dir, method, path, err)
	}
	return nil
}

// send returns the response to a request that succeeded.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("process runtime %s: encoding %s %s: %w", c.dir, method, path, err)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("process runtime %s: %w", c.dir, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if outer := (*url.Error)(nil); errors.As(err, &outer) {
			err = outer.Err // the rest of it is an address that nobody knows
		}
		return nil, fmt.Errorf("process runtime %s: %w", c.dir, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }() // only read
	message, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("process runtime %s: reading the answer to %s %s: %w", c.dir, method, path, err)
	}
	return nil, fmt.Errorf("process runtime %s: %s", c.dir, strings.TrimSpace(string(message)))
}
