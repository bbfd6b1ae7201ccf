//! Where a running server is, for the verbs that speak to it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pblink_serve::control::{Client, ClientError, ServerAnswer, Token};

use crate::exit::{Exit, Failed};
use crate::output::diagnostics::say;
use crate::settings::Settings;

/// The variable with the token of the control API.
pub(crate) const TOKEN_ENV: &str = "PBLINK_TOKEN";

/// Time after which it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// Flags of the verbs that speak to a running server.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the server's control API, such as `http://127.0.0.1:8124`. Default: `server.control` of the
    /// configuration.
    #[arg(long, alias = "connect", value_name = "URL")]
    pub url: Option<String>,
    /// File with the token of the server, for writing and from other machines. Default: PBLINK_TOKEN, then
    /// `control.token_file` of the configuration, then the file that a server of the same user has made.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl ServerArgs {
    /// Connects to the server.
    ///
    /// # Errors
    /// [`Exit::Network`] if there is none, [`Exit::Config`] for a token that cannot be used, [`Exit::Usage`] for a
    /// wrong address.
    pub(crate) async fn connect(&self) -> anyhow::Result<(Client, ServerAnswer)> {
        self.reach().await?.map_err(|error| to_error(&error))
    }

    /// Connects to the server, for those who can do without one.
    ///
    /// # Errors
    /// [`Exit::Config`] for a token that cannot be used, or if the server has no control API.
    pub(crate) async fn reach(
        &self,
    ) -> anyhow::Result<Result<(Client, ServerAnswer), ClientError>> {
        let settings = match (&self.url, &self.config) {
            // An address is enough; a configuration that is wrong does not matter then.
            (Some(_), None) => None,
            _ => Some(Settings::load(self.config.as_deref())?),
        };
        let url = match (&self.url, &settings) {
            (Some(url), _) => url.clone(),
            (None, Some(settings)) => settings.control_url()?,
            (None, None) => Settings::default().control_url()?,
        };
        let token = self.token(settings.as_ref())?;
        let given = token.is_some();
        let (client, server) = match patiently(&url, Client::connect_with(&url, token)).await {
            Ok(connected) => connected,
            Err(error) => return Ok(Err(error)),
        };
        let client = match &server.token_file {
            Some(file) if !given => match Token::read_made(Path::new(file)) {
                Some(token) => client.with_token(token),
                None => client,
            },
            _ => client,
        };
        Ok(Ok((client, server)))
    }

    /// Returns the token that the user has named.
    fn token(&self, settings: Option<&Settings>) -> anyhow::Result<Option<Token>> {
        let failed = |message: String| Failed::with(Exit::Config, message);
        if let Some(file) = &self.token_file {
            return Token::read(file).map(Some).map_err(|error| failed(error.to_string()));
        }
        if let Ok(token) = std::env::var(TOKEN_ENV) {
            let token = Token::parse(&token);
            return token.map(Some).map_err(|error| failed(format!("{TOKEN_ENV}: {error}")));
        }
        // The server may not have made it yet, or it is one for another user: it is then missed where it is needed.
        Ok(settings.and_then(Settings::token_path).and_then(|path| Token::read(&path).ok()))
    }
}

/// Waits for an answer of the server, and says so if it does not come at once.
pub(crate) async fn patiently<T>(url: impl Display, answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    if let Ok(answer) = tokio::time::timeout(SILENCE, &mut answer).await {
        return answer;
    }
    say(format_args!("waiting for the server at {url} to answer"));
    answer.await
}

/// Returns what a user can do about an error.
pub(crate) fn to_error(error: &ClientError) -> anyhow::Error {
    match error {
        ClientError::Url(_) | ClientError::Zone(_) => Failed::with(Exit::Usage, error.to_string()),
        ClientError::Refused { status: 401 | 403, .. } => Failed::with(
            Exit::Config,
            format!("{error}; give its file with --token-file, or the token itself in {TOKEN_ENV}"),
        ),
        ClientError::Refused { .. } => Failed::with(Exit::Failure, error.to_string()),
        _ => Failed::with(
            Exit::Network,
            format!(
                "{error}; start one with `pblink serve`, or name its control API with --url URL"
            ),
        ),
    }
}
