package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// The enforcer is also a CNI plugin (https://www.cni.dev/docs/spec/): the last of a pod's network, it
// lets a pod start only when the rules are in force. The plugin asks the enforcer over a socket.

const (
	// Plugin is the name of the plugin's program and its type in the network's configuration.
	Plugin = "lab-policy"
	// arrivalTimeout bounds how long a pod's start waits; the kubelet tries again.
	arrivalTimeout = 10 * time.Second
	arrivalPath    = "/arrivals"
)

// Serve answers plugins at a socket until ctx is done.
func (e *Enforcer) Serve(ctx context.Context, socket string) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listen for pods: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for pods: %w", err)
	}
	handler := http.NewServeMux()
	handler.HandleFunc("POST "+arrivalPath, e.serveArrival)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: arrivalTimeout}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // plugins try again
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen for pods: %w", err)
	}
	return ctx.Err()
}

func (e *Enforcer) serveArrival(response http.ResponseWriter, request *http.Request) {
	address, err := netip.ParseAddr(request.URL.Query().Get("address"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), arrivalTimeout)
	defer cancel()
	if err := e.arrive(ctx, request.URL.Query().Get("pod"), address); err != nil {
		http.Error(response, err.Error(), http.StatusServiceUnavailable)
	}
}

// network is what a plugin is told on its standard input.
type network struct {
	Version string `json:"cniVersion"`
	// Socket of the enforcer.
	Socket string `json:"socket"`
	// Previous plugins' result, which is handed on as it is.
	Previous json.RawMessage `json:"prevResult"`
}

// RunPlugin is the plugin. The environment says what to do to which pod.
func RunPlugin(environment func(string) string, in io.Reader, out io.Writer) error {
	switch environment("CNI_COMMAND") {
	case "VERSION":
		_, err := io.WriteString(out, `{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}`)
		return err
	case "ADD":
	default:
		return nil // the rules follow the pods that there are
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return pluginError(out, err)
	}
	var config network
	if err := json.Unmarshal(text, &config); err != nil {
		return pluginError(out, err)
	}
	if err := announce(config, podOf(environment("CNI_ARGS"))); err != nil {
		return pluginError(out, err)
	}
	_, err = out.Write(config.Previous)
	return err
}

// pluginError tells an error in the form that CNI wants, and returns it.
func pluginError(out io.Writer, err error) error {
	text, _ := json.Marshal(map[string]any{"cniVersion": "1.0.0", "code": 100, "msg": err.Error()})
	_, writeErr := out.Write(text)
	return errors.Join(err, writeErr)
}

// podOf is the namespace/name that containerd names: K8S_POD_NAMESPACE=…;K8S_POD_NAME=….
func podOf(arguments string) string {
	var namespace, name string
	for pair := range strings.SplitSeq(arguments, ";") {
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "K8S_POD_NAMESPACE":
			namespace = value
		case "K8S_POD_NAME":
			name = value
		}
	}
	return namespace + "/" + name
}

// announce tells the enforcer of a pod's address and waits for its rules.
func announce(config network, pod string) error {
	var result struct {
		IPs []struct {
			Address netip.Prefix `json:"address"`
		} `json:"ips"`
	}
	if err := json.Unmarshal(config.Previous, &result); err != nil {
		return fmt.Errorf("read the address of pod %s: %w", pod, err)
	}
	if len(result.IPs) == 0 {
		return fmt.Errorf("pod %s has no address", pod)
	}
	client := &http.Client{Timeout: arrivalTimeout + time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", config.Socket)
		},
	}}
	query := url.Values{"pod": {pod}, "address": {result.IPs[0].Address.Addr().String()}}
	response, err := client.Post("http://enforcer"+arrivalPath+"?"+query.Encode(), "", http.NoBody)
	if err != nil {
		return fmt.Errorf("pod %s: ask for its network policies: %w", pod, err)
	}
	defer func() { _ = response.Body.Close() }() // only read
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("pod %s: ask for its network policies: %s", pod, bytes.TrimSpace(message))
	}
	return nil
}
