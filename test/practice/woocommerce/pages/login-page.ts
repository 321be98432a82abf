import { type Html, type HtmlPart, html, when } from '../html.ts';
import type { Shop } from '../state.ts';
import { icon } from './icons.ts';
import { script, stylesheet } from './shell.ts';

export interface LoginForm {
  readonly redirectTo: string;
  readonly username: string;
  readonly error?: Html | undefined;
  readonly message?: string | undefined;
}

export function loginPage(shop: Shop, form: LoginForm): Html {
  const content = html`${when(form.error !== undefined, html`<div id="login_error" class="notice notice-error"><p>${form.error}</p></div>`)}
${when(form.message !== undefined, html`<div id="login-message" class="notice notice-info message"><p>${form.message}</p></div>`)}
<form name="loginform" id="loginform" action="${shop.origin}/wp-login.php" method="post">
<p><label for="user_login">Username or Email Address</label>
<input type="text" name="log" id="user_login" class="input" value="${form.username}" size="20" autocapitalize="off" autocomplete="username" required="required"></p>
<div class="user-pass-wrap"><label for="user_pass">Password</label>
<div class="wp-pwd"><input type="password" name="pwd" id="user_pass" class="input password-input" value="" size="20" autocomplete="current-password" spellcheck="false" required="required">
<button type="button" class="button button-secondary wp-hide-pw hide-if-no-js" data-toggle="0" aria-label="Show password">${icon('eye')}</button></div></div>
<p class="forgetmenot"><input name="rememberme" type="checkbox" id="rememberme" value="forever"> <label for="rememberme">Remember Me</label> <button type="button" class="wp-tooltip-toggle" aria-label="Help" aria-expanded="false" title="Keeps you signed in on this computer for 14 days.">?</button></p>
<p class="submit"><input type="submit" name="wp-submit" id="wp-submit" class="button button-primary button-large" value="Log In">
<input type="hidden" name="redirect_to" value="${form.redirectTo}">
<input type="hidden" name="testcookie" value="1"></p>
</form>
<p id="nav"><a class="wp-login-lost-password" href="/wp-login.php?action=lostpassword">Lost your password?</a></p>
<p id="backtoblog"><a href="/">← Go to ${shop.name}</a></p>`;
  return loginShell(shop, 'Log In', 'login-action-login', content);
}

export function emailCheckPage(
  shop: Shop,
  form: { readonly redirectTo: string; readonly nonce: string; readonly remindUrl: string },
): Html {
  const content = html`<form class="admin-email-confirm-form" name="admin-email-confirm-form" action="${shop.origin}/wp-login.php?action=confirm_admin_email" method="post">
<input type="hidden" name="confirm_admin_email_nonce" value="${form.nonce}">
<input type="hidden" name="redirect_to" value="${form.redirectTo}">
<h1 class="admin-email__heading">Administration email verification</h1>
<p class="admin-email__details">Please verify that the <strong>administration email</strong> for this website is still correct. <a href="#why">Why is this important?</a></p>
<p class="admin-email__details">Current administration email: <strong>${shop.owner.email}</strong></p>
<p class="admin-email__details">This email may be different from your personal email address.</p>
<div class="admin-email__actions">
<div class="admin-email__actions-primary"><a class="button button-large" href="/wp-admin/options-general.php?highlight=confirm_admin_email">Update</a>
<input type="submit" name="correct-admin-email" id="correct-admin-email" class="button button-primary button-large" value="The email is correct"></div>
<div class="admin-email__actions-secondary"><a href="${form.remindUrl}">Remind me later</a></div>
</div>
</form>
<p id="backtoblog"><a href="/">← Go to ${shop.name}</a></p>`;
  return loginShell(shop, 'Confirm your administration email', 'login-action-confirm_admin_email', content);
}

export function lostPasswordPage(shop: Shop): Html {
  const content = html`<div id="login-message" class="notice notice-info message"><p>Please enter your username or email address. You will receive an email message with instructions on how to reset your password.</p></div>
<form name="lostpasswordform" id="lostpasswordform" action="${shop.origin}/wp-login.php?action=lostpassword" method="post">
<p><label for="user_login">Username or Email Address</label>
<input type="text" name="user_login" id="user_login" class="input" value="" size="20" autocapitalize="off" autocomplete="username" required="required"></p>
<p class="submit"><input type="submit" name="wp-submit" id="wp-submit" class="button button-primary button-large" value="Get New Password"></p>
</form>
<p id="nav"><a class="wp-login-log-in" href="/wp-login.php">Log in</a></p>`;
  return loginShell(shop, 'Lost Password', 'login-action-lostpassword', content);
}

/** What a usual security plugin shows instead of the form. */
export function lockedOutPage(shop: Shop): Html {
  const content = html`<div id="login_error" class="notice notice-error"><p><strong>Error:</strong> Too many failed login attempts. Please try again in 20 minutes.</p></div>
<p id="backtoblog"><a href="/">← Go to ${shop.name}</a></p>`;
  return loginShell(shop, 'Log In', 'login-action-locked-out', content);
}

/** Two first-level headings, of which the second is only a picture with a link, as WordPress has them. */
function loginShell(shop: Shop, title: string, bodyClass: string, content: HtmlPart): Html {
  return html`<!DOCTYPE html>
<html lang="en-US">
<head>
<meta charset="UTF-8">
<title>${title} ‹ ${shop.name} — WordPress</title>
<meta name="robots" content="max-image-preview:large, noindex, noarchive">
<meta name="referrer" content="strict-origin-when-cross-origin">
<meta name="viewport" content="width=device-width, initial-scale=1">
${stylesheet('/wp-admin/css/forms.css')}${stylesheet('/wp-admin/css/login.css')}<link rel="icon" href="/wp-content/uploads/store-icon.png" sizes="32x32">
</head>
<body class="login js ${bodyClass} wp-core-ui locale-en-us">
<h1 class="screen-reader-text">${title}</h1>
<div id="login">
<h1 role="presentation" class="wp-login-logo"><a href="/">Powered by WordPress</a></h1>
${content}
</div>
<p class="simulation">Practice shop: a simulation</p>
${script('/wp-admin/js/user-profile.js')}</body>
</html>
`;
}
