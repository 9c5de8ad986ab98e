package controlplane

import "fmt"

// EncryptionConfigFile is the value of File.From for the API server's EncryptionConfiguration. Fill it
// with EncryptionConfig: the key alone is no file that a program reads.
const EncryptionConfigFile = "encryption-config"

// encryptionConfig: what is written is sealed with the first provider. The last one reads what a guest
// may still hold in the clear; without it such a Secret could neither be read nor deleted.
const encryptionConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources:
  - secrets
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: %s
  - identity: {}
`

// EncryptionConfig returns the EncryptionConfiguration (YAML) that encrypts Secrets at rest
// (XSalsa20-Poly1305) with the identity's encryption.key: 32 bytes in base64.
func EncryptionConfig(key []byte) []byte { return fmt.Appendf(nil, encryptionConfig, key) }
