package controlplane

import "github.com/myriad-fleet/myriad/api/v1alpha1"

// Kind of a component.
type Kind string

// The components of a control plane; each is also the name of its program.
const (
	Etcd              Kind = "etcd"
	APIServer         Kind = "kube-apiserver"
	ControllerManager Kind = "kube-controller-manager"
	Scheduler         Kind = "kube-scheduler"
)

// Manifest is everything that a Runtime needs to run one guest's control plane. It is the same for
// every runtime: paths are written with the variables ConfigDir and DataDir, addresses come from
// the runtime's own reservation.
type Manifest struct {
	// ID of the guest.
	ID string `json:"id"`
	// Epoch of the placement that the manifest is for.
	Epoch int64 `json:"epoch"`
	// Components in the order in which they start and, when they must restart, are updated.
	Components []Component `json:"components"`
}

// Variables in Component.Args and File.Content, written $(NAME) as in Kubernetes; each runtime puts
// its own directories there.
const (
	ConfigDir = "$(CONFIG_DIR)" // the component's files
	DataDir   = "$(DATA_DIR)"   // what outlives a restart: etcd's data, audit logs
)

// Component is one instance of one program.
type Component struct {
	// Name is unique in the manifest: <kind>-<zone>, for example etcd-a.
	Name string `json:"name"`
	// Kind of the component.
	Kind Kind `json:"kind"`
	// Zone that it dies and lives with; empty for none.
	Zone string `json:"zone,omitempty"`
	// Host (IP or DNS name) that it listens on and others dial.
	Host string `json:"host,omitempty"`
	// Program to run: a name in the distribution of Version, or an absolute path.
	Program string `json:"program"`
	// Version of the distribution that holds Program.
	Version string `json:"version,omitempty"`
	// Image that holds Program, for runtimes that run containers.
	Image string `json:"image,omitempty"`
	// Args after the program's name.
	Args []string `json:"args"`
	// FirstArgs follow Args. The program reads them only while it has no data: changing them restarts
	// nothing and is true from the next start on.
	FirstArgs []string `json:"firstArgs,omitempty"`
	// Env holds NAME=value.
	Env []string `json:"env,omitempty"`
	// Files that the runtime puts under ConfigDir.
	Files []File `json:"files,omitempty"`
	// Certificates that the agent issues before it hands the manifest to the runtime.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Probe tells when the component is ready; nil: as soon as it runs.
	Probe *Probe `json:"probe,omitempty"`
	// After names the components that must have been ready before this one first starts. A runtime may start
	// an API server, which waits for etcd by itself, as soon as its etcd runs.
	After []string `json:"after,omitempty"`
	// Size that it is given. The process runtime only accounts for it. Changing it restarts nothing
	// where the runtime can help it.
	Size v1alpha1.ComponentSize `json:"size"`
	// Stopped holds the component stopped and keeps its data.
	Stopped bool `json:"stopped,omitempty"`
	// StopSeconds it may take to end after SIGTERM before it is killed.
	StopSeconds int `json:"stopSeconds,omitempty"`
}

// File is one file under a component's ConfigDir.
type File struct {
	// Path relative to ConfigDir.
	Path string `json:"path"`
	// Content, literal or filled in from From.
	Content []byte `json:"content,omitempty"`
	// From names secret material that the agent fills in (Resolve) before it hands the manifest to
	// the runtime: a file of the guest's pki.Identity, CertificateFile or CertificateKey of one of
	// the component's certificates, or EncryptionConfigFile.
	From string `json:"from,omitempty"`
	// Live files are read again by the program itself when they change, the others need a restart.
	Live bool `json:"live,omitempty"`
}

// Authority is one of a guest's certificate authorities.
type Authority string

// A guest's certificate authorities. Their names are those of the files of pki.Identity.
const (
	ClusterCA    Authority = "cluster-ca"
	FrontProxyCA Authority = "front-proxy-ca"
	EtcdCA       Authority = "etcd-ca"
)

// Certificate is a leaf certificate to be issued.
type Certificate struct {
	// Name is unique in the component, for example serving.
	Name string `json:"name"`
	// Authority that signs it.
	Authority Authority `json:"authority"`
	// CommonName and Organizations of the subject: the user and its groups for clients.
	CommonName string `json:"commonName"`
	// Organizations of the subject.
	Organizations []string `json:"organizations,omitempty"`
	// Names are the subject alternative names, DNS names and IP addresses mixed.
	Names []string `json:"names,omitempty"`
	// Server and Client say what it may be used for.
	Server bool `json:"server,omitempty"`
	// Client says that it may be used by a client.
	Client bool `json:"client,omitempty"`
}

// CertificateFile is the value of File.From for the certificate (PEM) of that name.
func CertificateFile(name string) string { return "certificate/" + name + ".crt" }

// CertificateKey is the value of File.From for the key (PEM) of the certificate of that name.
func CertificateKey(name string) string { return "certificate/" + name + ".key" }

// Probe is an HTTPS GET that answers 200 when the component is ready.
type Probe struct {
	// Address is host:port; empty with Socket.
	Address string `json:"address"`
	// Socket is the absolute path of a unix socket to ask instead, over plain HTTP: for Myriad's own
	// daemons, on the process runtime.
	Socket string `json:"socket,omitempty"`
	// Plain asks without TLS.
	Plain bool `json:"plain,omitempty"`
	// Path of the request.
	Path string `json:"path"`
	// CertFile and KeyFile (relative to ConfigDir) of the client certificate; empty for none.
	CertFile string `json:"certFile,omitempty"`
	// KeyFile belongs to CertFile.
	KeyFile string `json:"keyFile,omitempty"`
	// CAFile (relative to ConfigDir) that the server is verified by; empty skips verification, for
	// programs that serve a certificate of their own making.
	CAFile string `json:"caFile,omitempty"`
	// ServerName to verify; empty for the address.
	ServerName string `json:"serverName,omitempty"`
}
