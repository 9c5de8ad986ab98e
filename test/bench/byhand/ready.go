package byhand

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// waitReady waits until a component's probe succeeds.
func (c *ControlPlane) waitReady(ctx context.Context, name string) error {
	component, err := c.component(name)
	if err != nil || component.Probe == nil {
		return err
	}
	probe := component.Probe
	config := &tls.Config{ServerName: probe.ServerName, MinVersion: tls.VersionTLS12}
	directory := c.configDir(name)
	if probe.CAFile != "" {
		text, err := os.ReadFile(filepath.Join(directory, probe.CAFile))
		if err != nil {
			return err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(text)
	}
	if probe.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(directory, probe.CertFile), filepath.Join(directory, probe.KeyFile))
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Second}
	err = wait.PollUntilContextCancel(ctx, c.options.Poll, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+probe.Address+probe.Path, nil)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, nil
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("waiting until %s of control plane %d is ready: %w", name, c.options.Number, err)
	}
	return nil
}
