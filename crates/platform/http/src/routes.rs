//! The route table of one service, and how a request runs through it.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use http::{Method, request::Parts};
use hyper::upgrade::OnUpgrade;
use pileus_base::{Caller, Ctx, Error, Kind, Result, ids::RequestId};
use pileus_policy::{Check, Rule};

use crate::{Base, Call, Chunks, Family, Params, Reply, Version};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Turns a token into its caller.
pub trait Authenticator: Send + Sync + 'static {
    /// The caller that `token` stands for.
    ///
    /// # Errors
    /// 401 where it is unknown, expired or revoked.
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<Caller>>>;
}

/// A route, for the golden table and the tests that walk it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteInfo {
    /// The path below the mount, parameters in braces.
    pub path: String,
    /// The method.
    pub method: String,
    /// The rule's name.
    pub rule: &'static str,
    /// Whether it needs no token.
    pub open: bool,
}

pub(crate) struct Incoming {
    pub parts: Parts,
    pub body: Chunks,
    pub upgrade: Option<OnUpgrade>,
    pub path: String,
    pub base: Base,
    pub peer: Option<std::net::SocketAddr>,
    pub request_id: RequestId,
}

type Handler = Box<dyn Fn(Ready) -> BoxFuture<'static, Result<Reply>> + Send + Sync>;

/// A request that passed its rule.
struct Ready {
    incoming: Incoming,
    ctx: Ctx,
    scope: pileus_base::Scope,
    rule: Rule,
    version: Version,
    query: Params,
    params: Vec<(String, String)>,
    token: Option<String>,
    family: &'static Family,
}

/// Builds a service's table: one line a route.
pub struct Routes<S> {
    state: S,
    family: &'static Family,
    table: BTreeMap<String, Vec<(Method, Rule, Handler)>>,
    rewrite: Option<Rewrite>,
    stamp: Option<Stamp>,
    reword: Option<Reword>,
}

/// Brings a path to the form that the table knows.
type Rewrite = fn(&str) -> Result<String>;
/// Puts an error into the words of the version that a URI asks for.
type Reword = fn(&http::Uri, Error) -> Error;
/// Adds the headers that every answer of an API bears.
pub(crate) type Stamp = fn(&mut http::HeaderMap);

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// An empty table of `family`, whose handlers see `state`.
    pub fn new(family: &'static Family, state: S) -> Self {
        Self { state, family, table: BTreeMap::new(), rewrite: None, stamp: None, reword: None }
    }

    /// Every path goes through `rewrite` before its route is looked for (a version in the path, a name of
    /// several segments).
    pub fn rewrite(mut self, rewrite: fn(&str) -> Result<String>) -> Self {
        self.rewrite = Some(rewrite);
        self
    }
    /// Every error goes through `reword`, with the URI that was asked (an API that says things otherwise in
    /// its older versions).
    pub fn reword(mut self, reword: fn(&http::Uri, Error) -> Error) -> Self {
        self.reword = Some(reword);
        self
    }
    /// Every answer, errors too, goes through `stamp`.
    pub fn stamp(mut self, stamp: fn(&mut http::HeaderMap)) -> Self {
        self.stamp = Some(stamp);
        self
    }

    /// Adds a route. `path` is below the mount, parameters as `{id}`, a rest as `{*rest}`.
    pub fn route<H, F>(mut self, method: Method, path: &str, rule: Rule, handler: H) -> Self
    where
        H: Fn(Call<S>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        let state = self.state.clone();
        let run: Handler = Box::new(move |ready: Ready| {
            let Ready { incoming, ctx, scope, rule, version, query, params, token, family } = ready;
            Box::pin(handler(Call {
                state: state.clone(),
                ctx,
                scope,
                rule,
                version,
                method: incoming.parts.method,
                uri: incoming.parts.uri,
                path: incoming.path,
                query,
                headers: incoming.parts.headers,
                base: incoming.base,
                peer: incoming.peer,
                token,
                family,
                params,
                body: Some(incoming.body),
                upgrade: incoming.upgrade,
            }))
        });
        self.table.entry(path.to_owned()).or_default().push((method, rule, run));
        self
    }
    /// `GET`, and `HEAD` with it.
    pub fn get<H, F>(self, path: &str, rule: Rule, handler: H) -> Self
    where
        H: Fn(Call<S>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        self.route(Method::GET, path, rule, handler)
    }
    /// `POST`.
    pub fn post<H, F>(self, path: &str, rule: Rule, handler: H) -> Self
    where
        H: Fn(Call<S>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        self.route(Method::POST, path, rule, handler)
    }
    /// `PUT`.
    pub fn put<H, F>(self, path: &str, rule: Rule, handler: H) -> Self
    where
        H: Fn(Call<S>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        self.route(Method::PUT, path, rule, handler)
    }
    /// `PATCH`.
    pub fn patch<H, F>(self, path: &str, rule: Rule, handler: H) -> Self
    where
        H: Fn(Call<S>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        self.route(Method::PATCH, path, rule, handler)
    }
    /// `DELETE`.
    pub fn delete<H, F>(self, path: &str, rule: Rule, handler: H) -> Self
    where
        H: Fn(Call<S>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        self.route(Method::DELETE, path, rule, handler)
    }

    /// The finished table.
    ///
    /// # Panics
    /// Where two paths collide or a method stands twice: a mistake in the table, found by any test.
    pub fn build(self) -> Service {
        let (mut router, mut infos) = (matchit::Router::new(), Vec::new());
        for (path, methods) in self.table {
            for (n, (method, rule, _)) in methods.iter().enumerate() {
                assert!(methods[..n].iter().all(|(m, ..)| m != method), "{method} {path} stands twice");
                infos.push(RouteInfo {
                    path: path.clone(),
                    method: method.to_string(),
                    rule: rule.name,
                    open: rule.check == Check::Anyone,
                });
            }
            router.insert(path, methods).expect("the route table has no two paths that collide");
        }
        Service {
            family: self.family,
            router,
            infos,
            rewrite: self.rewrite,
            stamp: self.stamp,
            reword: self.reword,
        }
    }
}

/// A service's finished route table.
pub struct Service {
    pub(crate) family: &'static Family,
    router: matchit::Router<Vec<(Method, Rule, Handler)>>,
    infos: Vec<RouteInfo>,
    rewrite: Option<Rewrite>,
    pub(crate) stamp: Option<Stamp>,
    reword: Option<Reword>,
}

impl Service {
    /// Every route, sorted by path.
    pub fn routes(&self) -> &[RouteInfo] {
        &self.infos
    }

    /// Runs one request to its reply, and the version it was served at.
    pub(crate) async fn run(
        &self,
        incoming: Incoming,
        authenticator: &dyn Authenticator,
    ) -> (Result<Reply>, Option<Version>) {
        let mut version = None;
        let asked = self.reword.map(|reword| (reword, incoming.parts.uri.clone()));
        let reply = self.dispatch(incoming, authenticator, &mut version).await;
        let reply = match asked {
            Some((reword, uri)) => reply.map_err(|e| reword(&uri, e)),
            None => reply,
        };
        (reply, version)
    }

    async fn dispatch(
        &self,
        mut incoming: Incoming,
        authenticator: &dyn Authenticator,
        version: &mut Option<Version>,
    ) -> Result<Reply> {
        if let Some(rewrite) = self.rewrite {
            incoming.path = rewrite(&incoming.path)?;
        }
        let headers = &incoming.parts.headers;
        let token = headers.get("x-auth-token").and_then(|t| t.to_str().ok()).map(str::to_owned);
        let found = self.router.at(&incoming.path);
        let (methods, params) = match found {
            Ok(m) => {
                let decoded: Result<Vec<_>> =
                    m.params.iter().map(|(k, v)| Ok((k.to_owned(), decode(v)?))).collect();
                (m.value, decoded?)
            }
            Err(_) => {
                return Err(Error::not_found("The resource could not be found."));
            }
        };
        let head = incoming.parts.method == Method::HEAD;
        let by = |method: &Method| methods.iter().find(|(m, ..)| m == method);
        let route = by(&incoming.parts.method).or_else(|| if head { by(&Method::GET) } else { None });
        let Some((_, rule, handler)) = route else {
            return Err(Error::new(
                Kind::MethodNotAllowed,
                "The method is not allowed for the requested URL.",
            ));
        };
        let caller = match &token {
            // A route that needs no token serves one with a stale token too: logging in again, for one.
            Some(token) => match authenticator.authenticate(token).await {
                Ok(caller) => caller,
                Err(_) if rule.check == Check::Anyone => Arc::default(),
                Err(e) => return Err(e),
            },
            None if rule.check == Check::Anyone => Arc::default(),
            None => return Err(Error::unauthorized("The request you have made requires authentication.")),
        };
        let served = match &self.family.versions {
            Some(versions) => {
                let served = versions.negotiate(headers)?;
                *version = Some(served);
                served
            }
            None => Version(0, 0),
        };
        let query = Params::parse(incoming.parts.uri.query())?;
        let ctx = Ctx::new(caller, incoming.request_id.clone());
        let refused =
            || Error::new(Kind::Forbidden, (self.family.denied)(rule.name)).code("PolicyNotAuthorized");
        let scope = rule.enforce(&ctx).ok_or_else(refused)?;
        let rule = *rule;
        handler(Ready {
            incoming,
            ctx,
            scope,
            rule,
            version: served,
            query,
            params,
            token,
            family: self.family,
        })
        .await
    }
}

/// A path segment's text.
fn decode(segment: &str) -> Result<String> {
    let bad = || Error::not_found("The resource could not be found.");
    let text = percent_encoding::percent_decode_str(segment).decode_utf8().map_err(|_| bad())?;
    if text.contains('\0') {
        return Err(bad());
    }
    Ok(text.into_owned())
}
