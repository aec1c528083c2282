import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;

/** Plays one TLS case for each line of standard input, on JSSE; programs.py tells what the lines say. */
public class Peer {
    static final int MILLISECONDS = 15000;
    static final char[] PASSWORD = "password".toCharArray();
    static final InetAddress HERE = InetAddress.getLoopbackAddress();

    /** A refusal by either side, as distinct from a failure of the test, which must not pass for one. */
    static class Refused extends Exception {
        Refused(IOException why) {
            super(why);
        }
    }

    /** Always gives the one certificate; JSSE's own keeps back one whose issuer the server did not name. */
    static class Only extends X509ExtendedKeyManager {
        final PrivateKey key;
        final X509Certificate[] chain;

        Only(String path) throws Exception {
            var store = KeyStore.getInstance("PKCS12");
            try (var file = new FileInputStream(path)) {
                store.load(file, PASSWORD);
            }
            var alias = store.aliases().nextElement();
            key = (PrivateKey) store.getKey(alias, PASSWORD);
            var certificates = store.getCertificateChain(alias);
            chain = Arrays.copyOf(certificates, certificates.length, X509Certificate[].class);
        }

        private String alias(String type) {
            return type.startsWith("EC") == key.getAlgorithm().equals("EC") ? "only" : null;
        }

        public String[] getClientAliases(String type, Principal[] issuers) {
            return new String[] {"only"};
        }

        public String[] getServerAliases(String type, Principal[] issuers) {
            return new String[] {"only"};
        }

        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return Arrays.stream(types).anyMatch(type -> alias(type) != null) ? "only" : null;
        }

        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return alias(type);
        }

        public X509Certificate[] getCertificateChain(String alias) {
            return chain;
        }

        public PrivateKey getPrivateKey(String alias) {
            return key;
        }
    }

    static SSLContext context(Map<String, String> asked) throws Exception {
        var anchors = KeyStore.getInstance(KeyStore.getDefaultType());
        anchors.load(null, null);
        try (var file = new FileInputStream(asked.get("ca"))) {
            for (var anchor : CertificateFactory.getInstance("X.509").generateCertificates(file)) {
                anchors.setCertificateEntry("ca" + anchors.size(), anchor);
            }
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(anchors);
        var path = asked.get("certificate");
        var keys = path.isEmpty() ? new KeyManager[0] : new KeyManager[] {new Only(path)};
        var context = SSLContext.getInstance("TLS");
        context.init(keys, trust.getTrustManagers(), null);
        return context;
    }

    /** Reads one line and no more, so that nothing waits for what never comes. */
    static String line(SSLSocket socket) throws IOException {
        var text = new StringBuilder();
        for (int octet; (octet = socket.getInputStream().read()) != -1; ) {
            text.append((char) octet);
            if (octet == '\n') {
                return text.toString();
            }
        }
        throw new IOException("closed without an answer");
    }

    static void send(SSLSocket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
        socket.getOutputStream().flush();
    }

    static void expect(String expected, String came) {
        if (!came.equals(expected)) {
            throw new IllegalStateException("\"" + came + "\" came");
        }
    }

    static void connect(Map<String, String> asked, SSLContext context) throws Exception {
        var raw = new Socket(HERE, Integer.parseInt(asked.get("port")));
        raw.setSoTimeout(MILLISECONDS);
        var factory = context.getSocketFactory();
        try (var socket = (SSLSocket) factory.createSocket(raw, "localhost", raw.getPort(), true)) {
            var parameters = socket.getSSLParameters();
            parameters.setProtocols(new String[] {"TLSv" + asked.get("version")});
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            parameters.setServerNames(List.of(new SNIHostName("localhost")));
            socket.setSSLParameters(parameters);
            send(socket, "ping\n");
            expect("pong\n", line(socket));
        } catch (SocketTimeoutException why) {
            throw why;
        } catch (IOException why) {
            throw new Refused(why);
        }
    }

    static SSLServerSocket listener(Map<String, String> asked, SSLContext context) throws Exception {
        var listener = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 2, HERE);
        listener.setSoTimeout(MILLISECONDS);
        listener.setEnabledProtocols(new String[] {"TLSv" + asked.get("version")});
        if (asked.get("mode").equals("required")) {
            listener.setNeedClientAuth(true);
        } else {
            listener.setWantClientAuth(asked.get("mode").equals("optional"));
        }
        System.out.println("port=" + listener.getLocalPort());
        return listener;
    }

    static void serve(SSLServerSocket listener) throws Exception {
        try (var socket = (SSLSocket) listener.accept()) {
            socket.setSoTimeout(MILLISECONDS);
            try {
                expect("ping\n", line(socket));
                send(socket, "pong\n");
            } catch (SocketTimeoutException why) {
                throw why;
            } catch (IOException why) {
                throw new Refused(why);
            }
        }
    }

    interface Connection {
        void play() throws Exception;
    }

    static String played(Connection connection) {
        try {
            connection.play();
            return "established\tdetail=";
        } catch (Refused why) {
            return "refused\tdetail=" + String.valueOf(why.getCause().getMessage()).replaceAll("\\s+", " ");
        } catch (Exception why) {
            return "error\tdetail=" + why.toString().replaceAll("\\s+", " ");
        }
    }

    /** The context has the sessions. */
    static void play(Map<String, String> asked) throws Exception {
        var context = context(asked);
        try (var listener = asked.get("role").equals("server") ? listener(asked, context) : null) {
            for (int left = Integer.parseInt(asked.get("times")); left > 0; left--) {
                Connection one = () -> connect(asked, context);
                System.out.println("result=" + played(listener == null ? one : () -> serve(listener)));
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        System.out.println("ready");
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            var asked = new HashMap<String, String>();
            for (var pair : line.split("\t")) {
                var parts = pair.split("=", 2);
                asked.put(parts[0], parts[1]);
            }
            try {
                play(asked);
            } catch (Exception why) {
                System.out.println("result=error\tdetail=" + why.toString().replaceAll("\\s+", " "));
            }
        }
    }
}
